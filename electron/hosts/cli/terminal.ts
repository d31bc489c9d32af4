/** Progress goes to standard error, results to standard output. */

const BAR = 24
/** A terminal redraws this often; a log file gets a line this often. */
const REDRAW_MS = 100
const LOG_MS = 10_000

/** A progress line with a bar and the time left: redrawn in place on a terminal, now and then in a log. */
export class ProgressLine {
  private last = 0
  private drawn = false

  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  show(phase: string, fraction: number, secondsLeft?: number): void {
    const now = Date.now()
    if (now - this.last < (this.stream.isTTY ? REDRAW_MS : LOG_MS)) return
    this.last = now
    const filled = Math.round(BAR * Math.min(1, Math.max(0, fraction)))
    const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled)
    const left = secondsLeft === undefined ? '' : `, ${duration(secondsLeft)} left`
    const line = `${bar} ${String(Math.floor(fraction * 100)).padStart(3)} %  ${phase}${left}`
    if (!this.stream.isTTY) {
      this.stream.write(`${line}\n`)
      return
    }
    this.stream.write(`\r\x1b[2K${line.slice(0, (this.stream.columns ?? 100) - 1)}`)
    this.drawn = true
  }

  clear(): void {
    if (this.drawn) this.stream.write('\r\x1b[2K')
    this.drawn = false
  }
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

/** Columns aligned by their widest cell; the first to the left, numbers to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ')
  return [line(head), widths.map((w) => '─'.repeat(w)).join('  '), ...rows.map(line)].join('\n')
}
