import type { Checked, Row } from './row'

/** Cases of a session. */
const TOGETHER = 16
/** Crashes after which the rest is given up. */
const CRASHES = 12
/** Wrong cases that have a line of their own. */
const NAMED = 25

/** What the cases of the kernels gave, over all processes that looked at them. */
export class Tally {
  next = 0
  private right = 0
  private readonly wrong: string[] = []
  private readonly special: string[] = []
  private worst = { what: '', error: 0 }
  private readonly called = new Set<string>()
  private kernels = 0
  private crashes = 0
  /** Cases of a session; 1 once a process has died, to know of which. */
  together = TOGETHER

  add({ next, right, wrong, special, worst, called, kernels }: Checked): void {
    this.next = next
    this.right += right
    this.kernels = kernels
    this.wrong.push(...wrong)
    this.special.push(...special)
    if (worst.error > this.worst.error) this.worst = worst
    for (const name of called) this.called.add(name)
  }

  /**
   * Takes note of how a process ended.
   * @returns how many cases the next one is to put into a session
   */
  after(error: string | undefined): number {
    if (!error) return this.together
    this.crashes++
    if (this.together === 1) {
      this.wrong.push(`case ${this.next + 1}: ${error}`)
      this.next++
    }
    this.together = 1
    return 1
  }

  get hopeless(): boolean {
    return this.crashes >= CRASHES
  }

  rows(device: string, error: string | undefined): Row[] {
    const cases = this.right + this.wrong.length + this.special.length
    const { what, error: largest } = this.worst
    const note = `${this.right} of ${cases} cases right, ${this.called.size} of ${this.kernels} kernels; worst ${largest.toExponential(1)} (${what})`
    const bad = this.wrong.length ? `${note}; ${this.wrong.length} wrong` : undefined
    const failure = error ? `${note}; then ${error}` : bad
    const names = this.special.map((line) => line.split(':')[0]!).join(', ')
    const special: Row[] = this.special.length
      ? [
          {
            what: '  NaN, infinities',
            device,
            precision: 'f32',
            note: `${this.special.length} cases are wrong there: ${names}`,
          },
        ]
      : []
    const named = this.wrong.slice(0, NAMED)
    return [
      { what: 'kernels', device, precision: 'f32', note, ...(failure && { error: failure }) },
      ...special,
      ...named.map((line): Row => ({ what: '  a case', device, precision: 'f32', error: line })),
    ]
  }
}
