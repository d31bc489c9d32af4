import type { Stroke } from '#contract'

export interface Series extends Stroke {
  name: string
  /** What its legend says where the rest of the name is known. */
  label?: string
  /** In ascending x. */
  points: readonly (readonly [x: number, y: number | null])[]
  /** Around each point, from low to high: what several runs of one setting spread over. */
  band?: readonly (readonly [low: number | null, high: number | null])[]
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
  return [{ name, points, band: folded.map(({ around }) => around), ...stroke }]
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

const WIDTH = 800
const HEIGHT = 400
const MARGIN = { left: 64, right: 16, top: 32, bottom: 56 }

/** A chart as a vector graphic of its own, for papers and slides. */
export function toSvg(title: string, series: readonly Series[]): string {
  const points = withEdges(series).flatMap(({ points }) => points.filter(([, y]) => y !== null)) as [
    number,
    number,
  ][]
  if (!points.length) return ''
  const range = (values: number[]) => [Math.min(...values), Math.max(...values)] as const
  const [x0, x1] = range(points.map(([x]) => x))
  const [y0, y1] = range(points.map(([, y]) => y))
  const x = (v: number) => MARGIN.left + ((v - x0) / (x1 - x0 || 1)) * (WIDTH - MARGIN.left - MARGIN.right)
  const y = (v: number) =>
    HEIGHT - MARGIN.bottom - ((v - y0) / (y1 - y0 || 1)) * (HEIGHT - MARGIN.top - MARGIN.bottom)
  const text = (at: string, content: string) =>
    `<text ${at} font-family="sans-serif" font-size="12">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`
  const bands = series.flatMap(({ points, color, band }) => {
    if (!band) return []
    const at = (i: number, side: 0 | 1) => `${x(points[i]![0]).toFixed(1)},${y(band[i]![side]!).toFixed(1)}`
    const there = points.map((_, i) => i).filter((i) => band[i]!.every((edge) => edge !== null))
    const corners = [...there.map((i) => at(i, 1)), ...there.toReversed().map((i) => at(i, 0))]
    return [`<polygon fill="${color}" fill-opacity="0.15" points="${corners.join(' ')}"/>`]
  })
  const lines = series.map(({ points, color, dash }) => {
    const path = points
      .filter(([, v]) => v !== null)
      .map(([px, py]) => `${x(px).toFixed(1)},${y(py!).toFixed(1)}`)
    return `<polyline fill="none" stroke="${color}" stroke-width="1.5" stroke-dasharray="${dash.join(' ')}" points="${path.join(' ')}"/>`
  })
  const legend = series.map(({ name, color, dash }, i) => {
    const at = MARGIN.left + i * 150
    return (
      `<line x1="${at}" x2="${at + 24}" y1="${HEIGHT - 12}" y2="${HEIGHT - 12}" stroke="${color}" stroke-width="2" stroke-dasharray="${dash.join(' ')}"/>` +
      text(`x="${at + 30}" y="${HEIGHT - 8}"`, name)
    )
  })
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
    const [vx, vy] = [x0 + part * (x1 - x0), y0 + part * (y1 - y0)]
    return [
      text(`x="${x(vx)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle"`, String(Math.round(vx))),
      text(`x="${MARGIN.left - 8}" y="${y(vy) + 4}" text-anchor="end"`, vy.toPrecision(3)),
    ]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"><rect width="100%" height="100%" fill="white"/>${text(`x="${MARGIN.left}" y="20" font-weight="bold"`, title)}${ticks.join('')}${bands.join('')}${lines.join('')}${legend.join('')}</svg>`
}
