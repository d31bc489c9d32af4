import { expect, it } from 'vitest'
import { rangeOf, roundTicks } from './axis'

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
