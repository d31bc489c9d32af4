import { stopped } from './job'

/** So much work at once and no more: what comes later waits in the order in which it came. */
export class Slots {
  private free: number
  private readonly waiting: (() => void)[] = []

  constructor(atOnce: number) {
    this.free = atOnce
  }

  /** Does the work when there is room; `wait` is told if it must. Rejects as stopped if the signal comes before that. */
  async hold<T>(signal: AbortSignal, wait: () => void, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) throw stopped()
    if (this.free > 0) this.free--
    else {
      wait()
      await this.turn(signal)
    }
    try {
      return await work()
    } finally {
      this.pass()
    }
  }

  private turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(go), 1)
        reject(stopped())
      }
      const go = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      signal.addEventListener('abort', leave, { once: true })
      this.waiting.push(go)
    })
  }

  /** Hands the room that was taken to the next one, or frees it. */
  private pass(): void {
    const next = this.waiting.shift()
    if (next) next()
    else this.free++
  }
}
