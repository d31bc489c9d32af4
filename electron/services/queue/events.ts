import type { Alarm, LoggedEvent, TeacherOutputs, WorkerEvent } from '#contract'
import { RunFolder, summariseAlarms } from '../../store'
import type { Context } from '../context'
import { keepCalibration } from '../library'
import { addOutputs } from './order'
import type { RunRows } from './rows'

/** Carries what a run's worker tells into the run's row and to the page. */
export class RunEvents {
  /** @param earlier what the teachers' outputs had cost the run before this process of it */
  constructor(
    private readonly context: Context,
    private readonly rows: RunRows,
    private readonly id: string,
    private readonly earlier: readonly TeacherOutputs[],
  ) {}

  hear(event: WorkerEvent): void {
    const { id } = this
    const { catalogue, pushes } = this.context
    switch (event.type) {
      case 'step':
        catalogue.showRun(this.rows.of(id), { step: event.record.step, last: event.record })
        return pushes.step(id, event.record)
      case 'evaluation':
        this.rows.show(id, { evaluation: event.record })
        return pushes.push({ topic: 'evaluation', id, record: event.record })
      case 'checkpoint':
        this.rows.show(id, { best: event.checkpoint.best })
        return pushes.push({ topic: 'checkpoint', id, checkpoint: event.checkpoint })
      case 'teacher-outputs':
        return this.rows.follow(id, { teacherOutputs: addOutputs(this.earlier, event.outputs) })
      case 'servers':
        return this.rows.follow(id, { servers: event.servers })
      case 'paused':
        this.rows.follow(id, { status: 'paused' })
        return this.log({ event: 'paused' })
      case 'continued':
        this.rows.follow(id, { status: 'running' })
        return this.log({ event: 'continued' })
      case 'calibration':
        return keepCalibration(this.context, event.teacher, event.calibration)
      case 'alarm':
        return this.hearAlarm(event.alarm)
      case 'log':
        return this.log({ event: 'log', message: event.message })
    }
  }

  private hearAlarm(alarm: Alarm): void {
    const { step, message } = alarm
    // Counted from the folder: a resumed run raises anew what it had raised after its checkpoint.
    const alarms = summariseAlarms(new RunFolder(this.context.dataDir, this.id).log())
    this.rows.follow(this.id, { alarms })
    this.log({ event: 'alarm', step, message, alarm })
  }

  private log(entry: Omit<LoggedEvent, 'at'>): void {
    this.context.pushes.push({ topic: 'log', id: this.id, entry: { at: new Date().toISOString(), ...entry } })
  }
}
