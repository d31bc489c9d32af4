import {
  settingText,
  type GridMetric,
  type GridResults,
  type GridRow,
  type SettingResult,
  type Spread,
} from '#contract'
import { csvLine, latexDocument, latexNumber, type LatexTable, latexText } from '../report'

/**
 * Every cell, seed and metric in a row of its own, in full precision: tidy data (Wickham 2014). A value that was not
 * measured is empty; the status says which values are those of a cell that was stopped.
 */
export function tidyCsv(
  row: Pick<GridRow, 'name' | 'axes' | 'cells'>,
  metrics: readonly GridMetric[],
): string {
  const paths = Object.keys(row.axes)
  const keys = [
    ...new Set([
      ...metrics.map(({ key }) => key),
      ...row.cells.flatMap((cell) => Object.keys(cell.metrics).sort()),
    ]),
  ]
  const head = ['grid', ...paths, 'seed', 'status', 'run', 'metric', 'value']
  const lines = row.cells.flatMap((cell) =>
    keys.map((key) => [
      row.name,
      ...paths.map((path) => settingText(cell.axes[path])),
      String(cell.seed),
      cell.status,
      cell.run ?? '',
      key,
      String(cell.metrics[key] ?? ''),
    ]),
  )
  return [head, ...lines].map(csvLine).join('\n') + '\n'
}

/**
 * Tables for a paper: the settings with mean ± sd of every metric that has a direction, the best of each
 * bold; then one metric over two axes.
 *
 * @param all results of each metric
 * @param chosen those of the metric that the second table is of
 */
export function latexTables(name: string, all: readonly GridResults[], chosen: GridResults): string {
  const directed = all.filter(({ metric }) => metric.better !== 'neither')
  const tables = [settingsTable(name, directed.length ? directed : [chosen])]
  if (chosen.matrix) tables.push(matrixTable(name, chosen, chosen.matrix))
  return latexDocument(tables)
}

function settingsTable(name: string, all: readonly GridResults[]): LatexTable {
  const [{ axes, settings }] = all as [GridResults]
  const shown = axes.length ? axes.map(({ path }) => path) : ['setting']
  const label = ({ at }: SettingResult, axis: number) => axes[axis]?.values[at[axis]!]?.label ?? 'base'
  const rows = settings.map((setting, i) => [
    ...shown.map((_, axis) => latexText(label(setting, axis))),
    ...all.map((results) => quantity(results.settings[i]!, results.settings[i]!.best)),
  ])
  const most = Math.max(...settings.map(({ seeds }) => seeds))
  const stopped = settings.reduce((sum, one) => sum + one.stopped + one.failed, 0)
  // Of one metric or another: each says how many of its own.
  const notFinite = all.flatMap(({ metric, settings }) => {
    const count = settings.reduce((sum, one) => sum + one.notFinite, 0)
    return count ? [`${count} of ${metric.title}`] : []
  })
  return {
    caption: `${name}: mean ± sample standard deviation over ${most === 1 ? 'one seed' : `up to ${most} seeds`}, held-out${stopped ? `; ${stopped === 1 ? 'a cell that was stopped or failed is' : `${stopped} cells that were stopped or failed are`} left out` : ''}${notFinite.length ? `; values that are no finite number are left out: ${notFinite.join(', ')}` : ''}`,
    columns: `${'l'.repeat(shown.length)}${'r'.repeat(all.length)}`,
    head: [...shown, ...all.map(({ metric }) => titleOf(metric))],
    rows,
  }
}

function matrixTable(
  name: string,
  results: GridResults,
  matrix: NonNullable<GridResults['matrix']>,
): LatexTable {
  const { metric, axes } = results
  const labels = (path: string) => axes.find((axis) => axis.path === path)!.values.map(({ label }) => label)
  const columns = labels(matrix.columns)
  return {
    caption: `${name}: ${titleOf(metric)} by ${matrix.rows} (rows) and ${matrix.columns} (columns), mean ± sample standard deviation over seeds${axes.length > 2 ? ', averaged over the other axes' : ''}`,
    columns: `l${'r'.repeat(columns.length)}`,
    head: ['', ...columns],
    rows: matrix.cells.map((cells, i) => [
      latexText(labels(matrix.rows)[i]!),
      ...cells.map((cell) => quantity(cell, cell.best)),
    ]),
  }
}

function quantity({ mean, sd }: Pick<Spread, 'mean' | 'sd'>, best: boolean): string {
  if (mean === null) return '--'
  const [value, deviation] = meanWithDeviation(mean, sd)
  const shown = latexNumber(value)
  return `${best ? `\\textbf{${shown}}` : shown}${deviation === null ? '' : ` $\\pm$ ${deviation}`}`
}

/** The deviation with two significant digits and the mean with as many decimals; four digits where there is none. */
export function meanWithDeviation(mean: number, sd: number | null): [mean: string, sd: string | null] {
  const magnitude = (value: number) => (value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))))
  const decimals = (digits: number, value: number) => Math.min(8, Math.max(0, digits - 1 - magnitude(value)))
  if (!sd) return [mean.toFixed(decimals(4, mean)), sd === null ? null : '0']
  const shared = decimals(2, sd)
  return [mean.toFixed(shared), sd.toFixed(shared)]
}

function titleOf({ title, unit }: GridMetric): string {
  return unit ? `${title} (${unit})` : title
}
