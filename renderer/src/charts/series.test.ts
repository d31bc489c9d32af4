import { describe, expect, it } from 'vitest'
import { toSvg } from './figure'
import { align, foldSeeds, stack, toCsv, type Series } from './series'

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

describe('seeds of one setting', () => {
  const stroke = { color: '#000', dash: [] }
  const seed = (name: string, ...points: [number, number | null][]) => ({ name, points, ...stroke })

  it('are their mean within one sample deviation, where all of them have come to a finite number', () => {
    const folded = foldSeeds(
      [
        seed('a', [1, 2], [2, 4], [3, 1], [4, 7]),
        seed('b', [1, 4], [2, null], [3, 2]),
        seed('c', [1, 6], [2, 5], [3, 6]),
      ],
      'all',
      stroke,
    )
    // Of 2, 4, 6: mean 4, deviation 2. Of 1, 2, 6: mean 3, deviation the root of (4 + 1 + 9) / 2.
    expect(folded).toEqual([
      {
        name: 'all',
        ...stroke,
        points: [
          [1, 4],
          [3, 3],
        ],
        band: [
          [2, 6],
          [3 - Math.sqrt(7), 3 + Math.sqrt(7)],
        ],
      },
    ])
    expect(toCsv(folded).split('\n').slice(0, 2)).toEqual(['step,all,"all, low","all, high"', '1,4,2,6'])
    expect(toSvg({ title: 't', x: 'step', y: '' }, folded)).toContain('<polygon fill="#000"')
  })
})
