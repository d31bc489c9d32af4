import { expect, it } from 'vitest'
import { windowOf } from './window'

it('few rows are all drawn', () => {
  expect(windowOf(80, 37, 5000, 900)).toEqual({ from: 0, to: 80, above: 0, below: 0 })
})

it('of many rows those in sight are drawn, whatever was scrolled, and the list keeps its height', () => {
  const [count, row, sight] = [5000, 37.5, 844]
  for (let top = -200; top <= count * row; top += 333) {
    const { from, to, above, below } = windowOf(count, row, top, sight)
    expect(above + (to - from) * row + below).toBeCloseTo(count * row)
    expect(to - from).toBeLessThan(60)
    // Every row of which a pixel is in sight.
    const first = Math.max(0, Math.floor(top / row))
    const last = Math.min(count - 1, Math.floor((top + sight) / row))
    expect(from).toBeLessThanOrEqual(first)
    expect(to).toBeGreaterThan(last)
  }
})

it('a list that has become shorter shows its end', () => {
  expect(windowOf(100, 40, 180_000, 800)).toMatchObject({ to: 100, below: 0 })
})
