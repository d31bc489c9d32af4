import { describe, expect, it } from 'vitest'
import { tellingPlaces } from './curves'

describe('the places of a long curve that are kept', () => {
  const flat = (length: number) => Array.from({ length }, () => 2)

  it('have every outlier of one step, wherever it is, at most as many as asked for, in order', () => {
    for (const length of [2000, 50_000]) {
      for (const value of [100, -100, NaN, Infinity]) {
        for (let i = 0; i < 50; i++) {
          const values = flat(length)
          const at = Math.floor((i * length) / 50) + (i % 30)
          values[at] = value
          const places = tellingPlaces([values], 1500)
          expect(places.includes(at)).toBe(true)
          expect(places.length).toBeLessThanOrEqual(1500)
          expect([places[0], places.at(-1)]).toEqual([0, length - 1])
          expect(places.every((place, n) => !n || place > places[n - 1]!)).toBe(true)
        }
      }
    }
  })

  it('are all of a short one, and as few as asked for of a long one', () => {
    expect(tellingPlaces([[3, 1, 2]], 5)).toEqual([0, 1, 2])
    expect(tellingPlaces([[]], 5)).toEqual([])
    // One stretch: ends, lowest, highest, the first that is no number.
    expect(tellingPlaces([[3, 9, NaN, NaN, 1, 5, 4]], 5)).toEqual([0, 1, 2, 4, 6])
  })

  it('are of all curves that are seen together', () => {
    const columns = [flat(9000), flat(9000)]
    columns[0]![4000] = 5
    columns[1]![4001] = -5
    const places = tellingPlaces(columns, 600)
    expect(places).toEqual(expect.arrayContaining([0, 4000, 4001, 8999]))
    expect(places.length).toBeLessThanOrEqual(600)
  })

  it('keep lowest and highest when they are thinned again', () => {
    let values = Array.from({ length: 20_000 }, (_, i) => Math.sin(i) + Math.sin(i / 77))
    const ends = [Math.min(...values), Math.max(...values)]
    for (const points of [5000, 700, 50]) values = tellingPlaces([values], points).map((i) => values[i]!)
    expect([Math.min(...values), Math.max(...values)]).toEqual(ends)
  })
})
