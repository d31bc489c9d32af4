import { conflict, rowOfRun, type Run } from '#contract'
import { isDiskFull } from '../../files'
import type { Context } from '../context'
import { find } from '../identity'

/** The catalogue's rows of runs, as the queue reads and changes them; every change is told to the page. */
export class RunRows {
  constructor(private readonly context: Context) {}

  get all(): Run[] {
    return this.context.catalogue.data.runs
  }

  of(id: string): Run {
    return find('run', this.all, id)
  }

  has(id: string): boolean {
    return this.all.some((row) => row.id === id)
  }

  /** Adds it behind all others. */
  add(row: Omit<Run, 'place'>): Run {
    const place = Math.max(0, ...this.all.map((other) => other.place)) + 1
    const added: Run = { ...row, place }
    this.context.catalogue.update(({ runs }) => runs.push(added))
    this.tell(added)
    return added
  }

  change(id: string, change: Partial<Run>): void {
    const row = this.context.catalogue.update(() => Object.assign(this.of(id), change))
    this.context.pushes.flush()
    this.tell(row)
  }

  /** Changes a row by what its folder says as well, whose host reads it there should it find the run without one. */
  show(id: string, change: Partial<Run>): void {
    const row = this.of(id)
    this.context.catalogue.showRun(row, change)
    this.context.pushes.flush()
    this.tell(row)
  }

  /**
   * Changes a row by what its worker says or how it ended, which nobody waits for: on a full disk it is written once
   * there is room, and what the run's folder holds is not lost with this process.
   */
  follow(id: string, change: Partial<Run>): void {
    try {
      this.change(id, change)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.tell(this.of(id))
    }
  }

  /** @throws conflict when its status is none of these */
  require(row: Run, statuses: Run['status'][], verb: string): void {
    if (!statuses.includes(row.status))
      throw conflict(`cannot ${verb} run "${row.name}": it is ${row.status}`)
  }

  private tell(row: Run): void {
    this.context.pushes.push({ topic: 'run', run: rowOfRun(row) })
  }
}
