import type { Stroke } from '#contract'

export interface Series extends Stroke {
  name: string
  /** What its legend says where the rest of the name is known. */
  label?: string
  /** In ascending x. */
  points: readonly (readonly [x: number, y: number | null])[]
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
  const [xs, ...ys] = align(series)
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const head = ['step', ...series.map(({ name }) => quote(name))].join(',')
  return [head, ...xs.map((x, i) => [x, ...ys.map((column) => column[i] ?? '')].join(','))].join('\n') + '\n'
}

const WIDTH = 800
const HEIGHT = 400
const MARGIN = { left: 64, right: 16, top: 32, bottom: 56 }

/** A chart as a vector graphic of its own, for papers and slides. */
export function toSvg(title: string, series: readonly Series[]): string {
  const points = series.flatMap(({ points }) => points.filter(([, y]) => y !== null)) as [number, number][]
  if (!points.length) return ''
  const range = (values: number[]) => [Math.min(...values), Math.max(...values)] as const
  const [x0, x1] = range(points.map(([x]) => x))
  const [y0, y1] = range(points.map(([, y]) => y))
  const x = (v: number) => MARGIN.left + ((v - x0) / (x1 - x0 || 1)) * (WIDTH - MARGIN.left - MARGIN.right)
  const y = (v: number) =>
    HEIGHT - MARGIN.bottom - ((v - y0) / (y1 - y0 || 1)) * (HEIGHT - MARGIN.top - MARGIN.bottom)
  const text = (at: string, content: string) =>
    `<text ${at} font-family="sans-serif" font-size="12">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`
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
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"><rect width="100%" height="100%" fill="white"/>${text(`x="${MARGIN.left}" y="20" font-weight="bold"`, title)}${ticks.join('')}${lines.join('')}${legend.join('')}</svg>`
}
