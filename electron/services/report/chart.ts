import { tellingPlaces, type Stroke } from '#contract'

export interface Series {
  name: string
  stroke: Stroke
  points: readonly (readonly [x: number, y: number])[]
}

/** Lines over one axis, to be drawn in whatever format. */
export interface Figure {
  title: string
  /** Of what the lines are, for a caption. */
  note: string
  xLabel: string
  yLabel: string
  series: readonly Series[]
}

const WIDTH = 640
const HEIGHT = 260
const MARGIN = { left: 56, right: 12, top: 8, bottom: 32 }
/** More points than pixels cannot be seen. */
const POINTS = 500

/** A line chart as a self-contained SVG; colours of text and grid are the page's. */
export function lineChart(figure: Figure): string {
  const { title, xLabel, yLabel, series } = figure
  const domains = figureDomains(figure)
  const x = scale(domains.x, MARGIN.left, WIDTH - MARGIN.right)
  const y = scale(domains.y, HEIGHT - MARGIN.bottom, MARGIN.top)
  const grid = ticks(y.domain).map(
    (v) =>
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y.at(v)}" y2="${y.at(v)}" class="grid"/>` +
      `<text x="${MARGIN.left - 6}" y="${y.at(v)}" dy="0.32em" text-anchor="end">${label(v)}</text>`,
  )
  const foot = ticks(x.domain).map(
    (v) => `<text x="${x.at(v)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle">${label(v)}</text>`,
  )
  const lines = series.map(({ points, stroke }) => {
    const path = thin(points, POINTS)
      .map(([px, py], j) => `${j ? 'L' : 'M'}${x.at(px)} ${y.at(py)}`)
      .join('')
    return `<path d="${path}" ${drawn(stroke)}/>`
  })
  const legend = series.map(
    ({ name, stroke }) =>
      `<span><svg width="28" height="10" aria-hidden="true"><line x1="0" x2="28" y1="5" y2="5" stroke-width="2" ${drawn(stroke)}/></svg>${escape(name)}</span>`,
  )
  return `<figure><figcaption>${escape(title)} <small>${escape(yLabel)}</small></figcaption>
<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(`${title}, ${series.map(({ name }) => name).join(', ')}`)}">
${grid.join('')}${foot.join('')}<text x="${(WIDTH + MARGIN.left) / 2}" y="${HEIGHT - 2}" text-anchor="middle">${escape(xLabel)}</text>
<g fill="none" stroke-width="1.6" stroke-linejoin="round">${lines.join('')}</g></svg>
<div class="legend">${legend.join('')}</div></figure>`
}

const drawn = ({ color, dash }: Stroke) => `stroke="${color}" stroke-dasharray="${dash.join(' ')}"`

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

export type Domain = [number, number]

/** What its axes show. */
export function figureDomains({ series }: Figure): { x: Domain; y: Domain } {
  const points = series.flatMap(({ points }) => points)
  return { x: extent(points.map(([x]) => x)), y: padded(points.map(([, y]) => y)) }
}

function extent(values: readonly number[]): Domain {
  let [low, high] = [Infinity, -Infinity]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return low === high ? [low - 1, high + 1] : [low, high]
}

/** The first steps of a run lie far above the rest; the axis shows all but the highest hundredth. */
function padded(values: readonly number[]): Domain {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = extent(sorted.slice(0, Math.max(1, Math.ceil(sorted.length * 0.99))))
  const room = (high - low) * 0.04
  return [low - room, high + room]
}

export function scale(domain: Domain, from: number, to: number) {
  const at = (value: number) => {
    const part = Math.min(1, Math.max(0, (value - domain[0]) / (domain[1] - domain[0])))
    return Number((from + part * (to - from)).toFixed(1))
  }
  return { domain, at }
}

/** About five round numbers within the domain. */
export function ticks([low, high]: Domain): number[] {
  const raw = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!
  const result: number[] = []
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) result.push(v)
  return result
}

export function label(value: number): string {
  return String(Number(value.toPrecision(6)))
}

/** At most so many points of a line, every outlier among them. */
export function thin(points: Series['points'], most: number): Series['points'] {
  return tellingPlaces([points.map(([, y]) => y)], most).map((at) => points[at]!)
}
