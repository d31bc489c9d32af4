import { expect, it } from 'vitest'
import { rangeOf, roundTicks, shortTick } from './axis'

it('ticks are round, inside and about five', () => {
  expect(roundTicks(113.2, 131.4)).toEqual([115, 120, 125, 130])
  expect(roundTicks(0.1, 0.3)).toEqual([0.1, 0.15, 0.2, 0.25, 0.3])
  expect(roundTicks(-2, 2)).toEqual([-2, -1, 0, 1, 2])
  expect(roundTicks(3, 3)).toEqual([3])
})

it('a range has room around its values, also around one', () => {
  const [low, high] = rangeOf([1, 3])
  expect([low < 1, high > 3]).toEqual([true, true])
  for (const values of [[5], [0], []]) expect(rangeOf(values)[1]).toBeGreaterThan(rangeOf(values)[0])
})

it('numbers beside an axis are short, also those of a run that diverged', () => {
  expect([0.25, 1500, -40000, 1.5e6, 1.79123e25].map(shortTick)).toEqual([
    '0.25',
    '1,500',
    '-40,000',
    '1.5e+6',
    '1.791e+25',
  ])
})
