import { describe, expect, it } from 'vitest'
import type { RunRow } from '#contract'
import { foldRuns, meanOf } from './folds'

const run = (name: string, more: Partial<RunRow> = {}) => ({ id: name, name, ...more }) as RunRow
const runs = [
  run('a, seed 1', { group: 'g' }),
  run('lonely'),
  run('b, seed 1', { group: 'g' }),
  run('a, seed 2', { group: 'g' }),
  run('demo', { group: 'gone' }),
]
const shown = (folding: 'grid' | 'seeds', open: string[] = []) =>
  foldRuns(runs, folding, (id) => (id === 'g' ? 'Grid' : undefined), new Set(open)).map((line) =>
    'fold' in line
      ? `${line.fold.label}: ${line.fold.runs.length}`
      : `${line.within ? '- ' : ''}${line.run.name}`,
  )

describe('folding', () => {
  it('puts a grid’s runs where the first of them is; what belongs to none stays', () => {
    expect(shown('grid')).toEqual(['Grid: 3', 'lonely', 'demo'])
    expect(shown('grid', ['g'])).toEqual([
      'Grid: 3',
      '- a, seed 1',
      '- b, seed 1',
      '- a, seed 2',
      'lonely',
      'demo',
    ])
  })

  it('puts the seeds of a name together, and what has one seed stays a run', () => {
    expect(shown('seeds')).toEqual(['a: 2', 'lonely', 'b, seed 1', 'demo'])
  })

  it('means what was measured', () => {
    // 1, 2, 4: mean 7/3, squares 16/9 + 1/9 + 25/9 = 42/9, over 2.
    const { mean, deviation } = meanOf([1, 2, null, 4, 'NaN'])!
    expect(mean).toBeCloseTo(7 / 3, 12)
    expect(deviation).toBeCloseTo(Math.sqrt(42 / 18), 12)
    expect(meanOf([null, undefined])).toBeUndefined()
    expect(meanOf([3])).toEqual({ mean: 3 })
  })
})
