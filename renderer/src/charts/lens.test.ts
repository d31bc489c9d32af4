import { describe, expect, it } from 'vitest'
import { meanClock, valueAtStep } from './clock'
import { drawnOver, smoothed } from './lens'
import type { Series } from './series'

const line = (points: Series['points'], more: Partial<Series> = {}): Series => ({
  name: 'a',
  color: '#000',
  dash: [],
  points,
  ...more,
})
const seconds = { steps: [10, 20, 40], values: [5, 6, 16] }

describe('what a curve is drawn over', () => {
  it('is told at any step: between two in proportion, before the first from nothing, at last as it was', () => {
    expect([0, 5, 10, 15, 20, 30, 40, 99].map((step) => valueAtStep(seconds, step))).toEqual([
      0, 2.5, 5, 5.5, 6, 11, 16, 16,
    ])
    expect(valueAtStep({ steps: [], values: [] }, 3)).toBe(0)
  })

  it('moves its points and nothing else, and leaves out what does not tell', () => {
    const series = line(
      [
        [10, 1],
        [30, null],
      ],
      { clock: { seconds } },
    )
    expect(drawnOver(series, 'seconds')).toEqual([
      {
        ...series,
        points: [
          [5, 1],
          [11, null],
        ],
      },
    ])
    expect(drawnOver(series, 'step')).toEqual([series])
    expect(drawnOver(series, 'tokens')).toEqual([])
  })

  it('is of several seeds their mean, where each of them tells', () => {
    const other = { steps: [20, 40], values: [10, 20] }
    // At step 10 the other has come half the way to its 10.
    expect(meanClock([{ seconds }, { seconds: other }])).toEqual({
      seconds: { steps: [10, 20, 40], values: [5, 8, 18] },
    })
    expect(meanClock([{ seconds }, {}])).toBeUndefined()
  })
})

describe('smoothing', () => {
  it('is by distance, not by number of points, and begins at the first value', () => {
    const e = Math.exp(-1)
    const { points } = smoothed(
      line([
        [0, 4],
        [1, 0],
        [2, null],
        [4, 8],
      ]),
      0.25,
    )
    expect(points.map(([x]) => x)).toEqual([0, 1, 2, 4])
    expect(points[0]![1]).toBe(4)
    // A memory of one: by hand.
    expect(points[1]![1]).toBeCloseTo((4 * e) / (e + 1), 12)
    expect(points[2]![1]).toBeNull()
    expect(points[3]![1]).toBeCloseTo((4 * e ** 4 + 8) / (e ** 4 + e ** 3 + 1), 12)
  })

  it('keeps a level, stays between the extremes, and leaves a single point alone', () => {
    const level = smoothed(
      line([
        [0, 3],
        [5, 3],
        [9, 3],
      ]),
      0.5,
    ).points.map(([, y]) => y)
    for (const y of level) expect(y).toBeCloseTo(3, 12)
    const noisy = line(Array.from({ length: 50 }, (_, i) => [i, (i * 37) % 11] as const))
    const ys = smoothed(noisy, 0.1).points.map(([, y]) => y!)
    expect(Math.min(...ys)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ys)).toBeLessThan(10)
    expect(smoothed(line([[7, 2]]), 0.5).points).toEqual([[7, 2]])
  })
})
