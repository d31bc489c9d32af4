import { describe, expect, it } from 'vitest'
import { Pace } from './pace'
import type { Threading } from './session'

/** Milliseconds of a run, and the cores it had, on two cores. */
interface Speed {
  ms: number
  cores: number
}

type Machine = Record<Threading, Speed>

const alone: Machine = {
  spinning: { ms: 200, cores: 1.98 },
  waiting: { ms: 206, cores: 1.95 },
  single: { ms: 390, cores: 1 },
}
/** As measured beside a process that keeps a core busy. */
const beside: Machine = {
  spinning: { ms: 800, cores: 1.3 },
  waiting: { ms: 487, cores: 0.85 },
  single: { ms: 411, cores: 1 },
}

/** Runs for so many seconds; what was done, one after the other. */
function run(pace: Pace, machine: Machine, seconds: number): Threading[] {
  const done: Threading[] = []
  for (let left = seconds * 1000; left > 0;) {
    const { ms, cores } = machine[pace.threading]
    done.push(pace.threading)
    pace.after(ms, ms * cores)
    left -= ms
  }
  return done
}

const share = (done: readonly Threading[], threading: Threading) =>
  done.filter((one) => one === threading).length / done.length

describe('pace', () => {
  it('spins as long as no core is missing', () => {
    const pace = new Pace(2)
    expect(share(run(pace, alone, 3600), 'spinning')).toBe(1)
  })

  it('goes on with one thread when a core is taken, and with two when it is free again', () => {
    const pace = new Pace(2)
    run(pace, alone, 60)
    const first = run(pace, beside, 15)
    expect(first.indexOf('single')).toBeLessThanOrEqual(4)
    expect(pace.threading).toBe('single')
    // What trying costs: below a twentieth.
    expect(share(run(pace, beside, 3600), 'single')).toBeGreaterThan(0.95)
    run(pace, alone, 700)
    expect(pace.threading).toBe('spinning')
    expect(share(run(pace, alone, 600), 'spinning')).toBe(1)
  })

  it('begins with one thread soon where a core is taken from the start', () => {
    const pace = new Pace(2)
    run(pace, beside, 6)
    expect(pace.threading).toBe('single')
  })

  it('stays with two threads where one is slower all the same', () => {
    const pace = new Pace(2)
    const crowded = { ...beside, spinning: { ms: 300, cores: 1.4 } }
    expect(share(run(pace, crowded, 3600), 'spinning')).toBeGreaterThan(0.95)
    expect(pace.threading).toBe('spinning')
  })

  it('lets more threads sleep instead', () => {
    const pace = new Pace(8)
    const crowded: Machine = { ...beside, spinning: { ms: 90, cores: 7 }, waiting: { ms: 60, cores: 7 } }
    const done = run(pace, crowded, 600)
    expect(share(done, 'waiting')).toBeGreaterThan(0.9)
    expect(done).not.toContain('single')
  })

  it('has nothing to choose with one thread', () => {
    const pace = new Pace(1)
    expect(share(run(pace, { ...beside, waiting: { ms: 411, cores: 0.5 } }, 600), 'waiting')).toBe(1)
  })
})
