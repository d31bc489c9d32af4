import { describe, expect, it } from 'vitest'
import { align, stack, toCsv, type Series } from './series'

const stroke = { color: '#000', dash: [] }
const a: Series = {
  name: 'a',
  points: [
    [1, 10],
    [3, 30],
  ],
  ...stroke,
}
const b: Series = {
  name: 'b, too',
  points: [
    [2, 5],
    [3, null],
  ],
  ...stroke,
}

describe('series', () => {
  it('of different steps share one axis, with holes where one has no point', () => {
    expect(align([a, b])).toEqual([
      [1, 2, 3],
      [10, undefined, 30],
      [undefined, 5, null],
    ])
  })

  it('are stacked by adding those below', () => {
    const top: Series = {
      ...a,
      name: 'c',
      points: [
        [1, 1],
        [3, 2],
      ],
    }
    expect(stack([a, top]).map(({ points }) => points)).toEqual([
      [
        [1, 10],
        [3, 30],
      ],
      [
        [1, 11],
        [3, 32],
      ],
    ])
  })

  it('are written as comma-separated values', () => {
    expect(toCsv([a, b])).toBe('step,a,"b, too"\n1,10,\n2,,5\n3,30,\n')
  })
})
