/** What the host asks of a running job; the loop looks at it between two steps. */
export class Control {
  private paused = false
  private stopping = false
  private wake: (() => void) | undefined

  get stopRequested(): boolean {
    return this.stopping
  }

  get pauseRequested(): boolean {
    return this.paused && !this.stopping
  }

  pause(): void {
    this.paused = true
  }

  continue(): void {
    this.paused = false
    this.wake?.()
  }

  stop(): void {
    this.stopping = true
    this.wake?.()
  }

  /** Resolves when `continue` or `stop` was asked for. */
  async resumed(): Promise<void> {
    if (!this.pauseRequested) return
    await new Promise<void>((resolve) => (this.wake = resolve))
    this.wake = undefined
  }
}
