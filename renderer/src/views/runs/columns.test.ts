import { describe, expect, it } from 'vitest'
import type { RunRow } from '#contract'
import { keyOf, searchOf, sortRuns } from './columns'

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
const valueOf = () => undefined
const names = (sort: string) => sortRuns(runs, sort, valueOf).map(({ name }) => name)

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

describe('a filter', () => {
  const one = run('One', 12, { id: 'one', seed: 3, tags: ['paper'], starred: true })
  const values: Record<string, number | string> = { 'loss.lambda': 0.7, 'heldOut.ece': 'NaN' }
  const search = (filter: string) =>
    searchOf(
      filter,
      ({ name }) => name,
      (_, key) => values[key],
    )

  it('asks for values of columns, settings, metrics, tags and stars', () => {
    for (const filter of [
      'perplexity<20 seed=3',
      'Perplexity >= 12 and status=completed',
      'name=one',
      'lambda > 0.5 and tag = paper',
      'loss.lambda = 0.7',
      'starred = yes',
      'one',
    ])
      expect(search(filter).test(one), filter).toBe(true)
    for (const filter of ['perplexity<12', 'seed=4', 'lambda<0.5', 'tag = draft', 'ece < 9', 'two'])
      expect(search(filter).test(one), filter).toBe(false)
    expect(search('perplexity<20').test(run('none'))).toBe(false)
    expect(search('perplexity<20').test(run('lost', 'NaN'))).toBe(false)
  })

  it('names the columns that it needs', () => {
    expect(search('lambda > 0.5 and (seed = 3 or ece < 0.1)').keys).toEqual(['loss.lambda', 'heldOut.ece'])
  })

  it('takes the end of a path where it is one setting’s alone, and refuses what may be several or none', () => {
    expect(keyOf('learningRate')).toBe('train.learningRate')
    expect(keyOf('learningrate')).toBe('train.learningRate')
    expect(keyOf('seed')).toBeUndefined()
    expect(() => keyOf('layers')).toThrow('"layers" may be student.layers or loss.features.layers')
    for (const name of ['constructor', 'lambada']) expect(() => keyOf(name)).toThrow('is no column')
  })

  it('sorts by a chosen column', () => {
    const seen = [run('a', 1, { id: 'a' }), run('b', 1, { id: 'b' })]
    const of = (id: string) => ({ a: 2, b: 1 })[id]
    expect(sortRuns(seen, 'loss.lambda', of).map(({ name }) => name)).toEqual(['b', 'a'])
  })
})
