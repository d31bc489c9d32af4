import type { Stroke } from '#contract'
import { meanClock, type Clock } from './clock'

export interface Series extends Stroke {
  name: string
  /** What its legend says where the rest of the name is known. */
  label?: string
  /** In ascending x. */
  points: readonly (readonly [x: number, y: number | null])[]
  /** Around each point, from low to high: what several runs of one setting spread over. */
  band?: readonly (readonly [low: number | null, high: number | null])[]
  /** What else rises with the steps, to be drawn over: training tokens, and seconds of training. */
  clock?: Clock
}

/** The series with the edges of their bands behind them, low and high in turn. */
export function withEdges(series: readonly Series[]): Series[] {
  const edge = ({ name, points, color, dash, band }: Series, side: 0 | 1): Series => ({
    name: `${name}, ${side ? 'high' : 'low'}`,
    color,
    dash,
    points: points.map(([x], i) => [x, band![i]![side]] as const),
  })
  const banded = series.filter(({ band }) => band)
  return [...series, ...banded.flatMap((one) => [edge(one, 0), edge(one, 1)])]
}

/**
 * Seeds of one setting as one series: their mean where all of them have a finite point, within its standard deviation
 * (of the sample) on both sides.
 */
export function foldSeeds(seeds: readonly Series[], name: string, stroke: Stroke): Series[] {
  const [first, ...others] = seeds.map(({ points }) => new Map(points))
  if (!first) return []
  const folded = [...first].flatMap(([x, y]) => {
    const values = [y, ...others.map((other) => other.get(x))].filter((value) => typeof value === 'number')
    if (values.length < seeds.length) return []
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
    const sd = others.length ? Math.sqrt(squares / others.length) : 0
    return [{ point: [x, mean] as const, around: [mean - sd, mean + sd] as const }]
  })
  if (!folded.length) return []
  const points = folded.map(({ point }) => point)
  const clock = meanClock(seeds.map((seed) => seed.clock ?? {}))
  return [{ name, points, band: folded.map(({ around }) => around), ...stroke, ...(clock && { clock }) }]
}

export type Aligned = [xs: number[], ...ys: (number | null | undefined)[][]]

/** Series over one axis: the union of their x; `undefined` where a series has no point, which a line passes over. */
export function align(series: readonly Series[]): Aligned {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
  const at = new Map(xs.map((x, i) => [x, i]))
  const ys = series.map(({ points }) => {
    const column = new Array<number | null | undefined>(xs.length)
    for (const [x, y] of points) column[at.get(x)!] = y
    return column
  })
  return [xs, ...ys]
}

/** Each series on top of those before it, for a stacked chart; series share their x. */
export function stack(series: readonly Series[]): Series[] {
  const below = new Map<number, number>()
  return series.map((one) => ({
    ...one,
    points: one.points.map(([x, y]) => {
      const top = (below.get(x) ?? 0) + (y ?? 0)
      below.set(x, top)
      return [x, top] as const
    }),
  }))
}

/** Comma-separated values of a chart: x, then a column a series. */
export function toCsv(series: readonly Series[]): string {
  const columns = withEdges(series)
  const [xs, ...ys] = align(columns)
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const head = ['step', ...columns.map(({ name }) => quote(name))].join(',')
  return [head, ...xs.map((x, i) => [x, ...ys.map((column) => column[i] ?? '')].join(','))].join('\n') + '\n'
}
