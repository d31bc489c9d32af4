import { notFound, toErrorShape, type Task, type WorkerEvent } from '#contract'
import { newId } from '../identity'
import type { PushLog } from './pushLog'

/** Finished tasks that stay listed. */
const KEPT = 50

export interface TaskControl {
  signal: AbortSignal
  progress(phase: string, fraction: number, secondsLeft?: number): void
}

interface Running {
  row: Task
  abort: AbortController
  done: Promise<unknown>
}

/** Library work in progress: what it is at, how far, how long still, and its stop button. */
export class TaskBoard {
  private readonly tasks = new Map<string, Running>()

  constructor(private readonly pushes: PushLog) {}

  list(): Task[] {
    return [...this.tasks.values()].map(({ row }) => row)
  }

  /** Starts work; the promise is the work's own, the row tells the pages. */
  start<T>(title: string, work: (control: TaskControl) => Promise<T>): { row: Task; done: Promise<T> } {
    const abort = new AbortController()
    const row: Task = {
      id: newId('task'),
      title,
      status: 'running',
      phase: 'starting',
      fraction: 0,
      startedAt: new Date().toISOString(),
    }
    const began = Date.now()
    const progress: TaskControl['progress'] = (phase, fraction, secondsLeft) => {
      const elapsed = (Date.now() - began) / 1000
      const guess = fraction > 0.02 ? (elapsed * (1 - fraction)) / fraction : undefined
      Object.assign(row, { phase, fraction, secondsLeft: secondsLeft ?? guess })
      this.tell(row)
    }
    const done = work({ signal: abort.signal, progress }).then(
      (result) => {
        const { id: made } = (result ?? {}) as { id?: unknown }
        this.end(row, {
          status: 'completed',
          fraction: 1,
          phase: 'done',
          ...(typeof made === 'string' && { made }),
        })
        return result
      },
      (error: unknown) => {
        const status = abort.signal.aborted ? 'stopped' : 'failed'
        this.end(row, { status, error: toErrorShape(error) })
        throw error
      },
    )
    // Whoever waits sees the rejection; a page sees the row.
    done.catch(() => {})
    this.tasks.set(row.id, { row, abort, done })
    this.forgetOldest()
    this.tell(row)
    return { row, done }
  }

  stop(id: string): Task {
    const task = this.tasks.get(id)
    if (!task) throw notFound('task', id)
    task.abort.abort()
    return task.row
  }

  /** Stops all that runs and waits for its end. */
  async close(): Promise<void> {
    for (const { abort } of this.tasks.values()) abort.abort()
    await Promise.allSettled([...this.tasks.values()].map(({ done }) => done))
  }

  private end(row: Task, change: Partial<Task>): void {
    Object.assign(row, change, { secondsLeft: undefined })
    this.tell(row)
  }

  private tell(row: Task): void {
    this.pushes.push({ topic: 'task', task: { ...row } })
  }

  private forgetOldest(): void {
    for (const [id, { row }] of this.tasks) {
      if (this.tasks.size <= KEPT) return
      if (row.status !== 'running') this.tasks.delete(id)
    }
  }
}

/** A task's control as part `start`..`end` of it. */
export function within({ signal, progress }: TaskControl, start: number, end: number): TaskControl {
  return { signal, progress: (phase, fraction) => progress(phase, start + (end - start) * fraction) }
}

/** The progress events of a worker as part `start`..`end` of a task; the time left is that of a whole one alone. */
export function forwardProgress(
  progress: TaskControl['progress'],
  start = 0,
  end = 1,
): (event: WorkerEvent) => void {
  return (event) => {
    if (event.type !== 'progress') return
    const { phase, fraction, secondsLeft } = event
    progress(phase, start + (end - start) * fraction, end - start === 1 ? secondsLeft : undefined)
  }
}
