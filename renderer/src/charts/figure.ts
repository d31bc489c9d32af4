import { roundTicks, shortTick } from './axis'
import { withEdges, type Series } from './series'

const WIDTH = 800
const HEIGHT = 440
const MARGIN = { left: 76, right: 20, top: 36, bottom: 52 }
/** Of a row of the legend, and letters that one of its names has room for. */
const ROW = 20
const COLUMN = 364
const LETTERS = 52

export interface Figure {
  title: string
  /** Names of the axes, with their units. */
  x: string
  y: string
  logarithmic?: boolean
}

const inert = (content: string) =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
const text = (at: string, content: string) =>
  `<text ${at} font-family="sans-serif" font-size="12" fill="#333">${inert(content)}</text>`

/** Round numbers of a logarithmic axis: powers of ten, and 2 and 5 times these where they are few. */
export function logTicks(low: number, high: number): number[] {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
  const powers = Array.from({ length: to - from + 1 }, (_, i) => from + i)
  const within = (times: readonly number[]) =>
    powers
      .flatMap((power) => times.map((m) => Number((m * 10 ** power).toPrecision(12))))
      .filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
  const whole = within([1])
  return whole.length > 2 ? whole : within([1, 2, 5])
}

/**
 * A chart as a vector graphic of its own, for papers and slides: with axes that are named, round ticks and a legend.
 * Empty where nothing can be drawn: no points, or on a logarithmic axis none above zero.
 */
export function toSvg(
  { title, x: xName, y: yName, logarithmic = false }: Figure,
  series: readonly Series[],
): string {
  const drawable = (value: number | null): value is number => value !== null && (!logarithmic || value > 0)
  const points = withEdges(series).flatMap(({ points }) => points.filter(([, y]) => drawable(y))) as [
    number,
    number,
  ][]
  if (!points.length) return ''
  const scale = logarithmic ? Math.log10 : (value: number) => value
  const range = (values: number[]) =>
    values.reduce<[number, number]>(
      ([low, high], v) => [Math.min(low, v), Math.max(high, v)],
      [Infinity, -Infinity],
    )
  const [x0, x1] = range(points.map(([x]) => x))
  const [y0, y1] = range(points.map(([, y]) => y))
  const rows = Math.ceil(series.length / 2)
  const height = HEIGHT + rows * ROW
  const [left, right, top, bottom] = [MARGIN.left, WIDTH - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom]
  const x = (v: number) => left + ((v - x0) / (x1 - x0 || 1)) * (right - left)
  const y = (v: number) => bottom - ((scale(v) - scale(y0)) / (scale(y1) - scale(y0) || 1)) * (bottom - top)

  const bands = series.flatMap(({ points, color, band }) => {
    if (!band) return []
    const at = (i: number, side: 0 | 1) => `${x(points[i]![0]).toFixed(1)},${y(band[i]![side]!).toFixed(1)}`
    const there = points.map((_, i) => i).filter((i) => band[i]!.every(drawable))
    const corners = [...there.map((i) => at(i, 1)), ...there.toReversed().map((i) => at(i, 0))]
    return [`<polygon fill="${color}" fill-opacity="0.15" points="${corners.join(' ')}"/>`]
  })
  const lines = series.map(({ points, color, dash }) => {
    const path = points
      .filter(([, v]) => drawable(v))
      .map(([px, py]) => `${x(px).toFixed(1)},${y(py!).toFixed(1)}`)
    return `<polyline fill="none" stroke="${color}" stroke-width="1.5" stroke-dasharray="${dash.join(' ')}" points="${path.join(' ')}"/>`
  })
  const legend = series.map(({ name, color, dash }, i) => {
    const [at, row] = [left + (i % 2) * COLUMN, HEIGHT + Math.floor(i / 2) * ROW]
    const shown = name.length > LETTERS ? `${name.slice(0, LETTERS / 2)}…${name.slice(-LETTERS / 2)}` : name
    return (
      `<line x1="${at}" x2="${at + 24}" y1="${row - 4}" y2="${row - 4}" stroke="${color}" stroke-width="2" stroke-dasharray="${dash.join(' ')}"/>` +
      text(`x="${at + 30}" y="${row}"`, shown)
    )
  })
  const grid = 'stroke="#ddd" stroke-width="1"'
  const xTicks = roundTicks(x0, x1).map((v) => {
    const at = x(v).toFixed(1)
    return (
      `<line x1="${at}" x2="${at}" y1="${top}" y2="${bottom + 4}" ${grid}/>` +
      text(`x="${at}" y="${bottom + 18}" text-anchor="middle"`, shortTick(v))
    )
  })
  const yTicks = (logarithmic ? logTicks(y0, y1) : roundTicks(y0, y1)).map((v) => {
    const at = y(v).toFixed(1)
    return (
      `<line x1="${left - 4}" x2="${right}" y1="${at}" y2="${at}" ${grid}/>` +
      text(`x="${left - 8}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end"`, shortTick(v))
    )
  })
  const axes =
    `<polyline fill="none" stroke="#333" points="${left},${top} ${left},${bottom} ${right},${bottom}"/>` +
    text(`x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle"`, xName) +
    text(`transform="translate(16 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle"`, yName)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"><rect width="100%" height="100%" fill="white"/>${text(`x="${left}" y="22" font-weight="bold"`, title)}${xTicks.join('')}${yTicks.join('')}${axes}${bands.join('')}${lines.join('')}${legend.join('')}</svg>`
}
