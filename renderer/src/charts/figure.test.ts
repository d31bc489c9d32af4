import { describe, expect, it } from 'vitest'
import { logTicks, toSvg } from './figure'
import type { Series } from './series'

const line = (name: string, ...points: [number, number | null][]): Series => ({
  name,
  points,
  color: '#0072b2',
  dash: [],
})
const names = { title: 'Loss & more', x: 'step', y: 'nats/token' }
const texts = (svg: string) => [...svg.matchAll(/<text [^>]*>([^<]*)</g)].map(([, content]) => content!)

describe('a figure', () => {
  it('names its axes, has round ticks, and every series in its legend', () => {
    const svg = toSvg(names, [line('a', [0, 2.98], [300, 8.94]), line('b <i>', [0, 4], [300, null])])
    expect(texts(svg)).toEqual([
      'Loss &amp; more',
      ...['0', '100', '200', '300'],
      ...['4', '6', '8'],
      ...['step', 'nats/token'],
      ...['a', 'b &lt;i>'],
    ])
  })

  it('puts a value on its place: the highest at the top, on a logarithmic axis the middle by its root', () => {
    const ys = (svg: string) =>
      /<polyline fill="none" stroke="#0072b2"[^>]* points="([^"]*)"/
        .exec(svg)![1]!
        .split(' ')
        .map((pair) => Number(pair.split(',')[1]))
    const plain = ys(toSvg(names, [line('a', [0, 1], [1, 10], [2, 100])]))
    const log = ys(toSvg({ ...names, logarithmic: true }, [line('a', [0, 1], [1, 10], [2, 100], [3, 0])]))
    expect(plain[2]).toBe(log[2])
    expect(log[1]).toBeCloseTo((log[0]! + log[2]!) / 2, 1)
    expect(plain[1]! > log[1]!).toBe(true)
    expect(log).toHaveLength(3)
  })

  it('is nothing where there is nothing to draw, and keeps both ends of a long name', () => {
    expect(toSvg(names, [line('a', [0, null])])).toBe('')
    expect(toSvg({ ...names, logarithmic: true }, [line('a', [0, 0], [1, -3])])).toBe('')
    const name = `grid: strategy=${'x'.repeat(60)}, seed=3`
    expect(texts(toSvg(names, [line(name, [0, 1])])).at(-1)).toMatch(/^grid: strategy=.*….*, seed=3$/)
  })

  it('has ticks of a logarithmic axis at powers of ten, and between them where these are few', () => {
    expect(logTicks(0.5, 2000)).toEqual([1, 10, 100, 1000])
    expect(logTicks(1.5, 60)).toEqual([2, 5, 10, 20, 50])
  })
})
