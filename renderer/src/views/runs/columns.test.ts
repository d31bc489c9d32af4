import { describe, expect, it } from 'vitest'
import type { RunRow } from '#contract'
import { meets, sortRuns } from './columns'

const run = (name: string, perplexity?: number | 'NaN' | 'Infinity', more: Partial<RunRow> = {}) =>
  ({
    name,
    seed: 1,
    status: 'completed',
    kind: 'student',
    method: 'entropy',
    ...(perplexity !== undefined && { evaluation: { perplexity } }),
    ...more,
  }) as RunRow
const runs = [
  run('c', 12),
  run('none'),
  run('lost', 'NaN'),
  run('a', 9),
  run('far', 'Infinity'),
  run('b', 100),
]
const names = (sort: string) => sortRuns(runs, sort).map(({ name }) => name)

describe('sorting', () => {
  it('goes by numbers, not by their digits; what is no number is last in either direction', () => {
    expect(names('perplexity')).toEqual(['a', 'c', 'b', 'far', 'lost', 'none'])
    expect(names('-perplexity')).toEqual(['far', 'b', 'c', 'a', 'lost', 'none'])
  })

  it('leaves equals, and all by a column that is none, as they were', () => {
    const were = runs.map(({ name }) => name)
    for (const sort of ['seed', '-seed', '', 'toString', '-constructor']) expect(names(sort)).toEqual(were)
  })
})

describe('a word of the filter', () => {
  const one = run('One', 12, { seed: 3 })
  it('asks for a value of a column', () => {
    for (const word of [
      'perplexity<20',
      'perplexity>=12',
      'perplexity=12',
      'seed>2',
      'status=completed',
      'name=one',
    ])
      expect(meets(one, word)).toBe(true)
    for (const word of ['perplexity<12', 'perplexity>1e9', 'seed=4', 'status=failed'])
      expect(meets(one, word)).toBe(false)
    expect(meets(run('none'), 'perplexity<20')).toBe(false)
    expect(meets(run('lost', 'NaN'), 'perplexity<20')).toBe(false)
  })

  it('asks for nothing of a column where it names none, or compares what has no order', () => {
    for (const word of ['entropy', 'lambda=0.5', 'tostring=1', 'perplexity<x', 'status<completed'])
      expect(meets(one, word)).toBeUndefined()
  })
})
