import { describe, expect, it } from 'vitest'
import type { GridCell, GridMetric, Measured } from '#contract'
import { importanceOf } from './importance'
import { gridResults, type ResultsQuery } from './results'
import { settingKey } from './spread'

const METRICS: GridMetric[] = [
  { key: 'perplexity', title: 'Perplexity', unit: '', better: 'lower' },
  { key: 'agreement', title: 'Agreement', unit: '', better: 'higher' },
]

interface Made {
  axes: Record<string, unknown>
  seed: number
  value?: Measured | null
  status?: GridCell['status']
}

let made = 0
function cell({ axes, seed, value, status = 'completed' }: Made): GridCell {
  const metrics: GridCell['metrics'] = {}
  if (value !== undefined) {
    const agreement = typeof value === 'number' ? 1 / value : value
    Object.assign(metrics, { perplexity: value, agreement })
  }
  return { axes, seed, digest: '0'.repeat(64), run: `run-${made++}`, status, step: 1, steps: 1, metrics }
}
const ask = (axes: Record<string, unknown[]>, cells: Made[], query?: ResultsQuery) =>
  gridResults({ axes, cells: cells.map(cell) }, METRICS, query)

const AXES = { strategy: ['uniform', 'entropy'], teachers: [['a'], ['a', 'b']] }
const at = (strategy: string, teachers: string[]) => ({ strategy, teachers })
/** Values 10 + effects: entropy -2, two teachers -4, both together another -1; seeds ±1. */
const WHOLE: Made[] = [
  ['uniform', ['a'], 10],
  ['entropy', ['a'], 8],
  ['uniform', ['a', 'b'], 6],
  ['entropy', ['a', 'b'], 3],
].flatMap(([strategy, teachers, value]) =>
  [1, 2].map((seed) => ({
    axes: at(strategy as string, teachers as string[]),
    seed,
    value: (value as number) + (seed === 1 ? -1 : 1),
  })),
)

describe('an upper bound, which is weighted by the right answers', () => {
  const axes = { 'weighting.strategy': ['uniform', 'oracle', 'entropy'], 'loss.tau': [1, 2] }
  const cells = [10, 1, 8].flatMap((value, i) =>
    [1, 2].flatMap((tau) =>
      [1, 2].map((seed) => ({
        axes: { 'weighting.strategy': axes['weighting.strategy'][i]!, 'loss.tau': tau },
        seed,
        value: value + tau + seed / 10,
      })),
    ),
  )

  it('is never the best setting, nor the best of the matrix, and says what it is', () => {
    for (const metric of ['perplexity', 'agreement']) {
      const { best, settings, matrix } = ask(axes, cells, { metric })
      expect(best).toBe('weighting.strategy=entropy, loss.tau=1')
      const bounds = settings
        .filter(({ upperBound }) => upperBound)
        .map(({ axes }) => axes['weighting.strategy'])
      expect(bounds).toEqual(['oracle', 'oracle'])
      expect(settings.filter((one) => one.best).map(({ key }) => key)).toEqual([best])
      // It still has its place in the shades.
      expect(settings.find(({ shade }) => shade === 1)!.axes['weighting.strategy']).toBe('oracle')
      const bold = matrix!.cells.flatMap((row, i) => row.flatMap((one, j) => (one.best ? [[i, j]] : [])))
      expect(bold).toEqual([[2, 0]])
    }
  })

  it('is known in a whole group of settings too, and where nothing else has completed there is no best', () => {
    const groups = { weighting: [{ strategy: 'oracle' }, { strategy: 'uniform' }] }
    const only = [{ axes: { weighting: { strategy: 'oracle' } }, seed: 1, value: 3 }]
    const { best, settings } = ask(groups, only)
    expect(settings[0]!.upperBound).toBe(true)
    expect(best).toBeNull()
  })
})

describe('results of a grid', () => {
  it('are mean and sample deviation over seeds, with Student’s interval', () => {
    const { settings } = ask(AXES, WHOLE)
    // Values 9 and 11: sd = sqrt(2), half an interval = 12.706 * sqrt(2) / sqrt(2).
    expect(settings[0]).toMatchObject({ mean: 10, seeds: 2, cells: 2, stopped: 0, failed: 0 })
    expect(settings[0]!.sd).toBeCloseTo(Math.SQRT2, 12)
    expect(settings[0]!.low).toBeCloseTo(10 - 12.706, 9)
    expect(settings[0]!.runs).toHaveLength(2)
  })

  it('average an axis over the others by seed', () => {
    const { axes } = ask(AXES, WHOLE)
    const [uniform, entropy] = axes[0]!.values.map(({ spread }) => spread)
    // Uniform: (10 + 6) / 2 by seed 7 and 9; entropy (8 + 3) / 2 by seed 4.5 and 6.5.
    expect(uniform).toMatchObject({ mean: 8, seeds: 2, cells: 4 })
    expect(entropy).toMatchObject({ mean: 5.5, seeds: 2, cells: 4 })
    expect(uniform!.sd).toBeCloseTo(Math.SQRT2, 12)
  })

  it('never average in what was stopped or failed, but count it', () => {
    const cells: Made[] = [
      ...WHOLE,
      { axes: at('uniform', ['a']), seed: 3, value: 1000, status: 'stopped' },
      { axes: at('uniform', ['a']), seed: 4, value: 1000, status: 'failed' },
      { axes: at('uniform', ['a']), seed: 5, value: 1000, status: 'running' },
      { axes: at('uniform', ['a']), seed: 6, value: null },
    ]
    expect(ask(AXES, cells).settings[0]).toMatchObject({ mean: 10, seeds: 2, stopped: 1, failed: 1 })
  })

  it('never average in what is no finite number, but count it', () => {
    const cells: Made[] = [
      ...WHOLE,
      { axes: at('uniform', ['a']), seed: 3, value: 'Infinity' },
      { axes: at('uniform', ['a']), seed: 4, value: 'NaN' },
    ]
    const { settings, best, metrics } = ask(AXES, cells)
    expect(settings[0]).toMatchObject({ mean: 10, seeds: 2, cells: 2, notFinite: 2, failed: 0 })
    expect(settings[1]).toMatchObject({ notFinite: 0 })
    expect(best).toBe(ask(AXES, WHOLE).best)
    expect(metrics.map(({ key }) => key)).toContain('perplexity')
  })

  it('count a seed once where a setting has it twice', () => {
    const twice: Made[] = [1, 1, 2].map((seed) => ({ axes: at('uniform', ['a']), seed, value: seed }))
    expect(ask(AXES, twice).settings[0]).toMatchObject({ seeds: 2, cells: 3 })
  })

  it('split the variance into main effects and their interaction', () => {
    const { axes, interactions, filledIn } = ask(AXES, WHOLE)
    // Overall 6.75, variance 6.6875; marginals of strategy 8 and 5.5, of teachers 9 and 4.5.
    expect(axes[0]!.importance).toBeCloseTo(1.5625 / 6.6875, 12)
    expect(axes[1]!.importance).toBeCloseTo(5.0625 / 6.6875, 12)
    expect(interactions).toBeCloseTo(0.0625 / 6.6875, 12)
    expect(filledIn).toBe(0)
  })

  it('differ from the baseline by seed; inside the interval is no difference', () => {
    const noisy: Made[] = [1, 2, 3].flatMap((seed) => [
      { axes: { s: 'a' }, seed, value: 10 * seed },
      // The seeds differ by far more than the settings, which are 1 apart on every seed: pairing sees it.
      { axes: { s: 'b' }, seed, value: 10 * seed - 1 + seed / 1000 },
      { axes: { s: 'c' }, seed, value: 10 * seed + [3, -3, 1][seed - 1]! },
    ])
    const { settings } = ask({ s: ['a', 'b', 'c'] }, noisy)
    expect(settings[0]!.difference).toBeNull()
    expect(settings[1]!.difference).toMatchObject({ seeds: 3, different: true })
    expect(settings[1]!.difference!.mean).toBeCloseTo(-0.998, 9)
    expect(settings[2]!.difference).toMatchObject({ seeds: 3, different: false })
    const against = ask({ s: ['a', 'b', 'c'] }, noisy, { baseline: 's=b' })
    expect(against.settings[0]!.difference!.mean).toBeCloseTo(0.998, 9)
  })

  it('correct the verdicts for the number of settings', () => {
    const against = (count: number) => {
      const names = Array.from({ length: count }, (_, i) => `s${i}`)
      const cells = ['base', ...names].flatMap((s) =>
        // t = 4.33 with 2 degrees of freedom: p = 0.0494 alone.
        [1, 2, 3].map((seed) => ({ axes: { s }, seed, value: s === 'base' ? 0 : [0.6, 1, 1.4][seed - 1]! })),
      )
      return ask({ s: ['base', ...names] }, cells).settings[1]!.difference!
    }
    expect(against(1)).toMatchObject({ different: true, basis: 'seeds' })
    expect(against(1).p).toBeCloseTo(0.0494, 3)
    expect(against(2).different).toBe(false)
    expect(against(2).p).toBeCloseTo(2 * against(1).p!, 9)
  })

  it('shade settings and cells from the worst to the best, whichever way is good', () => {
    const { settings, matrix } = ask(AXES, WHOLE)
    expect(settings.map(({ shade }) => shade)).toEqual([0, 2 / 7, 4 / 7, 1].map((v) => expect.closeTo(v, 9)))
    expect(matrix!.cells[1]![1]!.shade).toBe(1)
    expect(ask(AXES, WHOLE, { metric: 'agreement' }).settings[3]!.shade).toBe(1)
    expect(ask({ s: [1] }, [{ axes: { s: 1 }, seed: 1, value: 3 }]).settings[0]!.shade).toBe(0.5)
  })

  it('with one seed have no deviation and no verdict', () => {
    const { settings } = ask({ s: ['a', 'b'] }, [
      { axes: { s: 'a' }, seed: 1, value: 1 },
      { axes: { s: 'b' }, seed: 1, value: 2 },
    ])
    expect(settings[1]).toMatchObject({ sd: null, low: null, difference: { mean: 1, different: null } })
  })

  it('know the best by the metric’s direction', () => {
    expect(ask(AXES, WHOLE).best).toBe(settingKey(at('entropy', ['a', 'b'])))
    const { best, metric } = ask(AXES, WHOLE, { metric: 'agreement' })
    expect(metric.better).toBe('higher')
    expect(best).toBe(settingKey(at('entropy', ['a', 'b'])))
  })

  it('lay any two axes against each other', () => {
    const three = { ...AXES, tau: [1, 2] }
    const cells = WHOLE.flatMap((one) =>
      [1, 2].map((tau) => ({ ...one, axes: { ...one.axes, tau }, value: Number(one.value) * tau })),
    )
    const { matrix } = ask(three, cells, { rows: 'tau', columns: 'strategy' })
    expect(matrix).toMatchObject({ rows: 'tau', columns: 'strategy' })
    expect(matrix!.cells.map((row) => row.map(({ mean }) => mean))).toEqual([
      [8, 5.5],
      [16, 11],
    ])
    expect(() => ask(three, cells, { rows: 'taw' })).toThrow(/no axis named "taw"; did you mean "tau"/)
    expect(ask({ tau: [1] }, []).matrix).toBeUndefined()
  })

  it('of nothing completed are empty, not wrong', () => {
    const { settings, best, baseline, axes } = ask({ s: [1, 2] }, [
      { axes: { s: 1 }, seed: 1, status: 'queued' },
    ])
    expect(settings[0]).toMatchObject({ mean: null, sd: null, cells: 0 })
    expect([best, baseline, axes[0]!.importance]).toEqual([null, null, null])
  })
})

describe('importance with holes', () => {
  it('fills them by a forest, the same each time, and still finds the axis that matters', () => {
    const measured = [0, 1, 2, 3].flatMap((a) =>
      [0, 1, 2].flatMap((b) =>
        a === 3 && b > 0 ? [] : [{ at: [a, b], value: 10 * a + (b === 2 ? 0.5 : 0) }],
      ),
    )
    const found = importanceOf([4, 3], measured)!
    expect(found.filledIn).toBe(2)
    expect(found.main[0]).toBeGreaterThan(0.9)
    expect(found.main[1]).toBeLessThan(0.05)
    expect(importanceOf([4, 3], measured)).toEqual(found)
  })

  it('says nothing of one value, or of values that are all equal', () => {
    expect(importanceOf([2], [{ at: [0], value: 1 }])).toBeUndefined()
    expect(
      importanceOf(
        [2],
        [0, 1].map((i) => ({ at: [i], value: 1 })),
      ),
    ).toBeUndefined()
  })
})
