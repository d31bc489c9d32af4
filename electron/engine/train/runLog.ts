import { join } from 'node:path'
import {
  evaluationRecord,
  loggedEvent,
  parse,
  runFiles,
  stepRecord,
  type Alarm,
  type EvaluationRecord,
  type LoggedEvent,
  type StepRecord,
  type WorkerEvent,
  type Writing,
  writing,
} from '#contract'
import { filterJsonLines, JsonLinesWriter } from '../../files'

export type Emit = (event: WorkerEvent) => void

/**
 * The run folder's two logs. A record is on its way to disk before the host hears of it: what a host has seen
 * survives the death of this process. It is parsed before it is written, as it will be when it is read.
 */
export class RunLog {
  private readonly metrics: JsonLinesWriter
  private readonly events: JsonLinesWriter
  /** There from the first one on. */
  private writings: JsonLinesWriter | undefined
  private readonly writingsFile: string

  /**
   * @param step records after this step belong to a future that a resumed run computes again; they are dropped; -1 drops all,
   *   a continued run's evaluation at step 0 too
   */
  constructor(
    folder: string,
    step: number,
    private readonly emit: Emit,
  ) {
    const metrics = join(folder, runFiles.metrics)
    const past = (record: unknown) => (record as { step: number }).step <= step
    this.writingsFile = join(folder, runFiles.writings)
    for (const file of [metrics, this.writingsFile]) filterJsonLines(file, past)
    this.metrics = new JsonLinesWriter(metrics)
    const events = join(folder, runFiles.events)
    filterJsonLines(events, (entry) => ((entry as LoggedEvent).alarm?.step ?? -1) <= step)
    this.events = new JsonLinesWriter(events)
  }

  step(record: StepRecord): void {
    this.metrics.append(parse(stepRecord, record))
    this.emit({ type: 'step', record })
  }

  evaluation(record: EvaluationRecord): void {
    this.metrics.append(parse(evaluationRecord, record))
    this.emit({ type: 'evaluation', record })
  }

  writing(record: Writing): void {
    this.writings ??= new JsonLinesWriter(this.writingsFile)
    this.writings.append(parse(writing, record))
  }

  event(event: LoggedEvent['event'], step?: number, message?: string): void {
    this.write({ at: now(), event, step, message })
  }

  /** What a person ought to know though the run goes on. */
  warn(step: number, message: string): void {
    this.event('log', step, message)
    this.emit({ type: 'log', level: 'warn', message })
  }

  alarm(alarm: Alarm): void {
    const { step, message } = alarm
    this.write({ at: now(), event: 'alarm', step, message, alarm })
    this.emit({ type: 'alarm', alarm })
  }

  private write(event: LoggedEvent): void {
    this.events.append(parse(loggedEvent, event))
  }

  sync(): void {
    this.metrics.sync()
    this.events.sync()
    this.writings?.sync()
  }

  close(): void {
    this.sync()
    this.metrics.close()
    this.events.close()
    this.writings?.close()
  }
}

const now = () => new Date().toISOString()
