import type { Threading } from './session'

/** One lap: runs of a graph that took long enough for the system's count of processor time to say something. */
interface Lap {
  /** Of a run. */
  ms: number
  /** Processor time of all of the process's threads over the time that went by. */
  cores: number
}

const SHORTEST_LAP_MS = 50
/** Laps that must look suspicious in a row. */
const LOOK = 3
/** Laps that try another way. The first run after a change is in none: memory is asked for anew. */
const TRIAL = 2
/** How long one way is kept before the other is tried again; doubled each time in vain. */
const PATIENCE_MS = 20_000
const LONGEST_PATIENCE_MS = 640_000
/** Cores' worth of time that may be missing before somebody else is suspected to have it. */
const MISSING = 0.4

/**
 * How the threads of a graph that is run again and again are to wait for each other.
 *
 * Threads that spin between operators are 3 % faster, but only while each has a core. Beside a program that keeps one
 * busy they hold each other up: an operator is cut into equal shares and is done when the slowest is. Two threads are
 * then slower than one (and one thread gives the same bits); of more, those that sleep get by.
 *
 * Time that the process does not get raises the suspicion; the other way is tried, and the faster of the two stays.
 */
export class Pace {
  /** How the next run is to be done. */
  threading: Threading
  /** What a trial has found the faster way, where there was cause to try. */
  found: Threading | undefined
  private readonly calm: Threading
  private laps: Lap[] = []
  private sum = { wallMs: 0, cpuMs: 0, runs: 0 }
  private fresh = true
  /** Of a trial: the time to beat. */
  private toBeat: number | undefined
  private sinceMs = Infinity
  private patienceMs = PATIENCE_MS

  /** @param threads of the runtime; one has nobody to wait for */
  constructor(private readonly threads: number) {
    this.threading = threads === 1 ? 'waiting' : 'spinning'
    this.calm = threads === 2 ? 'single' : 'waiting'
  }

  /**
   * Takes note of a run.
   * @param cpuMs what all of the process's threads took together
   */
  after(wallMs: number, cpuMs: number): void {
    if (this.threads === 1) return
    this.sinceMs += wallMs
    if (this.fresh) {
      this.fresh = false
      return
    }
    const { sum } = this
    sum.wallMs += wallMs
    sum.cpuMs += cpuMs
    sum.runs++
    if (sum.wallMs < SHORTEST_LAP_MS) return
    this.laps = [...this.laps, { ms: sum.wallMs / sum.runs, cores: sum.cpuMs / sum.wallMs }].slice(-LOOK)
    this.sum = { wallMs: 0, cpuMs: 0, runs: 0 }
    if (this.toBeat !== undefined) this.judge(this.toBeat)
    else if (this.wantsTrial()) {
      this.toBeat = this.fastest()
      this.change()
    }
  }

  private judge(toBeat: number): void {
    if (this.laps.length < TRIAL) return
    const better = this.fastest() < toBeat
    this.toBeat = undefined
    this.sinceMs = 0
    this.patienceMs = better ? PATIENCE_MS : Math.min(2 * this.patienceMs, LONGEST_PATIENCE_MS)
    if (better) this.found = this.threading
    else this.change()
  }

  private wantsTrial(): boolean {
    if (this.laps.length < LOOK || this.sinceMs < this.patienceMs) return false
    return this.threading === this.calm || this.laps.every(({ cores }) => cores < this.threads - MISSING)
  }

  private change(): void {
    this.threading = this.threading === this.calm ? 'spinning' : this.calm
    this.laps = []
    this.fresh = true
  }

  private fastest(): number {
    return Math.min(...this.laps.map(({ ms }) => ms))
  }
}
