import { join } from 'node:path'
import {
  runFiles,
  type EvaluationRecord,
  type LoggedEvent,
  type StepRecord,
  type WorkerEvent,
} from '#contract'
import { filterJsonLines, JsonLinesWriter } from '../../files'

export type Emit = (event: WorkerEvent) => void

/**
 * The run folder's two logs. A record is on its way to disk before the host hears of it: what a host has seen
 * survives the death of this process.
 */
export class RunLog {
  private readonly metrics: JsonLinesWriter
  private readonly events: JsonLinesWriter

  /** @param step records after this step belong to a future that a resumed run computes again; they are dropped */
  constructor(
    folder: string,
    step: number,
    private readonly emit: Emit,
  ) {
    const metrics = join(folder, runFiles.metrics)
    filterJsonLines(metrics, (record) => (record as { step: number }).step <= step)
    this.metrics = new JsonLinesWriter(metrics)
    this.events = new JsonLinesWriter(join(folder, runFiles.events))
  }

  step(record: StepRecord): void {
    this.metrics.append(record)
    this.emit({ type: 'step', record })
  }

  evaluation(record: EvaluationRecord): void {
    this.metrics.append(record)
    this.emit({ type: 'evaluation', record })
  }

  event(event: LoggedEvent['event'], step?: number, message?: string): void {
    this.events.append({ at: new Date().toISOString(), event, step, message } satisfies LoggedEvent)
  }

  sync(): void {
    this.metrics.sync()
    this.events.sync()
  }

  close(): void {
    this.sync()
    this.metrics.close()
    this.events.close()
  }
}
