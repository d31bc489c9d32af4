import type { GridFigure, GridResults, ShadedSpread } from '#contract'
import { type Domain, escape, label, meanWithDeviation, scale, ticks } from '../report'

const WIDTH = 720
const INK = '#27272a'
const SOFT = '#52525b'
const GRID = '#e4e4e7'
/** The heatmap's one hue, laid over white the denser the better the cell. */
const HUE = '#0369a1'
/** The best setting's line. */
const BEST = '#d55e00'
const DENSEST = 0.9
/** Share of the hue from which white text has more contrast than black. */
const WHITE_TEXT = 0.87
/** Width of a letter, of the font's size. */
const LETTER = 0.56

/** Figures of a grid's results as vector graphics of their own, on white, for papers and slides. */
export function gridFigure(figure: GridFigure, name: string, results: GridResults): string {
  const draw = { heatmap, marginals, parallel, importance }[figure]
  const { title, unit } = results.metric
  const { height, width = WIDTH, body } = draw(results)
  const about = figure === 'importance' ? `importance for ${title}` : unit ? `${title} (${unit})` : title
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${INK}"><title>${escape(`${name}: ${about}`)}</title><rect width="100%" height="100%" fill="#ffffff"/>${text(16, 22, `${name}: ${about}`, 'font-weight="bold" font-size="14"')}${body}</svg>\n`
}

interface Drawing {
  height: number
  width?: number
  body: string
}

/** Rows by columns, the value in each cell; with one axis a single row. */
function heatmap(results: GridResults): Drawing {
  const { axes, matrix, settings } = results
  const labels = (path: string) => axes.find((axis) => axis.path === path)!.values.map((value) => value.label)
  const cells: ShadedSpread[][] = matrix?.cells ?? [settings]
  const rows = matrix ? labels(matrix.rows) : ['']
  const columns = matrix ? labels(matrix.columns) : settings.map(({ key }) => key)
  const left = 32 + widest(rows, 12)
  const cellWidth = Math.max(96, 16 + widest(columns, 12))
  const at = (i: number, j: number) => [left + j * cellWidth, 68 + i * 40] as const
  const body = [
    text(left, 44, matrix ? `${matrix.rows} (rows), ${matrix.columns} (columns)` : '', `fill="${SOFT}"`),
    ...columns.map((column, j) => text(at(0, j)[0] + cellWidth / 2, 62, column, 'text-anchor="middle"')),
    ...rows.map((row, i) => text(left - 8, at(i, 0)[1] + 24, row, 'text-anchor="end"')),
    ...cells.flatMap((line, i) =>
      line.map((cell, j) => {
        const [x, y] = at(i, j)
        const share = (cell.shade ?? 0) * DENSEST
        const ink = share > WHITE_TEXT ? '#ffffff' : '#000000'
        const [mean, sd] = cell.mean === null ? ['–', null] : meanWithDeviation(cell.mean, cell.sd)
        return (
          `<rect x="${x}" y="${y}" width="${cellWidth - 2}" height="38" fill="${HUE}" fill-opacity="${share.toFixed(3)}" stroke="${GRID}"/>` +
          text(
            x + cellWidth / 2 - 1,
            y + 24,
            sd === null ? mean : `${mean} ± ${sd}`,
            `text-anchor="middle" fill="${ink}"`,
          )
        )
      }),
    ),
  ]
  const width = Math.max(WIDTH, left + columns.length * cellWidth + 16)
  return { width, height: 68 + rows.length * 40 + 16, body: body.join('') }
}

/** A panel an axis: means of its values over all other axes, with their deviation over seeds. */
function marginals({ axes }: GridResults): Drawing {
  const spreads = axes.flatMap(({ values }) => values.map(({ spread }) => spread))
  const ends = spreads.flatMap(({ mean, sd }) => (mean === null ? [] : [mean - (sd ?? 0), mean + (sd ?? 0)]))
  const domain = padded(ends)
  const panelHeight = 220
  const panels = axes.map(({ path, values }, k) => {
    const top = 48 + k * panelHeight
    const y = scale(domain, top + panelHeight - 56, top + 16)
    const step = (WIDTH - 96) / values.length
    const dots = values.map(({ label: name, spread: { mean, sd } }, i) => {
      const x = 80 + step * (i + 0.5)
      const foot = text(x, top + panelHeight - 36, name, 'text-anchor="middle"')
      if (mean === null) return foot
      const bar = sd
        ? `<path d="M${x} ${y.at(mean - sd)}V${y.at(mean + sd)}M${x - 5} ${y.at(mean - sd)}h10M${x - 5} ${y.at(mean + sd)}h10" stroke="${HUE}" fill="none" stroke-width="1.5"/>`
        : ''
      return `${bar}<circle cx="${x}" cy="${y.at(mean)}" r="4" fill="${HUE}"/>${foot}`
    })
    return text(16, top + 6, path, 'font-weight="bold"') + grid(y, 72) + dots.join('')
  })
  return { height: 48 + axes.length * panelHeight, body: panels.join('') }
}

/** A line a setting, over the axes' values to the metric. */
function parallel({ axes, settings, metric, best }: GridResults): Drawing {
  const drawn = settings.filter(({ mean }) => mean !== null)
  const step = (WIDTH - 220) / Math.max(1, axes.length)
  const [top, bottom] = [72, 380]
  const y = scale(padded(drawn.map(({ mean }) => mean!)), bottom, top)
  const place = (axis: number, index: number) =>
    Math.round(bottom - ((bottom - top) * (index + 0.5)) / axes[axis]!.values.length)
  const x = (axis: number) => 80 + step * axis
  const lines = [...drawn]
    .sort((a, b) => Number(a.key === best) - Number(b.key === best))
    .map((setting) => {
      const points = [...setting.at.map((index, k) => `${x(k)},${place(k, index)}`)]
      points.push(`${x(axes.length)},${y.at(setting.mean!)}`)
      const [colour, width] = setting.key === best ? [BEST, 2.5] : [HUE, 1]
      return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-opacity="${setting.key === best ? 1 : 0.55}"/>`
    })
  const heads = axes.map(
    ({ path, values }, k) =>
      `<line x1="${x(k)}" x2="${x(k)}" y1="${top}" y2="${bottom}" stroke="${SOFT}"/>` +
      text(x(k), 56, path, 'text-anchor="middle" font-weight="bold"') +
      values.map(({ label: name }, i) => text(x(k) + 6, place(k, i) - 4, name, HALO)).join(''),
  )
  const end = x(axes.length)
  const foot =
    `<line x1="${end}" x2="${end}" y1="${top}" y2="${bottom}" stroke="${SOFT}"/>` +
    text(end, 56, metric.title, 'text-anchor="middle" font-weight="bold"') +
    ticks(y.domain)
      .map((v) => text(end + 8, y.at(v) + 4, label(v)))
      .join('')
  return { height: 408, body: lines.join('') + heads.join('') + foot }
}

/** Share of the variance between settings by axis (functional ANOVA). */
function importance({ axes, interactions }: GridResults): Drawing {
  const bars = [
    ...axes.map(({ path, importance }) => ({ name: path, share: importance })),
    { name: 'interactions', share: interactions },
  ].filter(({ share }) => share !== null)
  const left =
    32 +
    Math.max(
      60,
      widest(
        bars.map(({ name }) => name),
        12,
      ),
    )
  const body = bars.map(({ name, share }, i) => {
    const top = 44 + i * 28
    const width = share! * (WIDTH - left - 80)
    return (
      text(left - 8, top + 15, name, 'text-anchor="end"') +
      `<rect x="${left}" y="${top}" width="${width.toFixed(1)}" height="20" fill="${HUE}"/>` +
      text(left + width + 8, top + 15, `${(100 * share!).toFixed(1)} %`)
    )
  })
  return { height: 44 + bars.length * 28 + 16, body: body.join('') }
}

/** Letters over lines stay readable. */
const HALO = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'

function grid(y: ReturnType<typeof scale>, left: number): string {
  return ticks(y.domain)
    .map(
      (v) =>
        `<line x1="${left}" x2="${WIDTH - 16}" y1="${y.at(v)}" y2="${y.at(v)}" stroke="${GRID}"/>` +
        text(left - 6, y.at(v) + 4, label(v), `text-anchor="end" fill="${SOFT}"`),
    )
    .join('')
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${Math.round(x * 10) / 10}" y="${Math.round(y * 10) / 10}" ${more}>${escape(content)}</text>`
}

function widest(lines: readonly string[], size: number): number {
  return Math.ceil(Math.max(...lines.map((line) => line.length)) * size * LETTER)
}

function padded(values: readonly number[]): Domain {
  if (!values.length) return [0, 1]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const room = (high - low) * 0.06 || Math.abs(low) * 0.05 || 1
  return [low - room, high + room]
}
