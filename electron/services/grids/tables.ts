import {
  settingText,
  type GridMetric,
  type GridResults,
  type GridRow,
  type SettingResult,
  type Spread,
} from '#contract'
import {
  csvLine,
  headOf,
  latexDocument,
  type LatexFigure,
  latexQuantity,
  type LatexTable,
  latexText,
  meanWithDeviation,
  pgfMeans,
} from '../report'

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
 * Tables for a paper: the settings with mean ± sd of every metric that has a direction, the best of each bold, those that
 * differ from the baseline marked; then one metric over two axes. Figures: that metric over each axis.
 *
 * @param all results of each metric
 * @param chosen those of the metric that the second table and the figures are of
 * @param standalone a document that compiles by itself
 */
export function latexTables(
  name: string,
  all: readonly GridResults[],
  chosen: GridResults,
  standalone = false,
): string {
  const directed = all.filter(({ metric }) => metric.better !== 'neither')
  const tables = [settingsTable(name, directed.length ? directed : [chosen])]
  if (chosen.matrix) tables.push(matrixTable(name, chosen, chosen.matrix))
  return latexDocument({ title: name, tables, figures: marginals(name, chosen) }, standalone)
}

function settingsTable(name: string, all: readonly GridResults[]): LatexTable {
  const [{ axes, settings }] = all as [GridResults]
  const shown = axes.length ? axes.map(({ path }) => path) : ['setting']
  const label = ({ at }: SettingResult, axis: number) => axes[axis]?.values[at[axis]!]?.label ?? 'base'
  const rows = settings.map((setting, i) => [
    ...shown.map((_, axis) => latexText(label(setting, axis))),
    ...all.map((results) => {
      const own = results.settings[i]!
      return quantity(own, own.best, own.difference?.different ?? false)
    }),
  ])
  return {
    title: name,
    notes: [...leftOut(all), ...differences(all)],
    names: shown.length,
    columns: `${'l'.repeat(shown.length)}${'r'.repeat(all.length)}`,
    head: [...shown, ...all.map(({ metric }) => headOf(metric))],
    rows,
  }
}

/** Over what the means are, and what is in none of them. */
function leftOut(all: readonly GridResults[]): string[] {
  const [{ settings }] = all as [GridResults]
  const most = Math.max(...settings.map(({ seeds }) => seeds))
  const stopped = settings.reduce((sum, one) => sum + one.stopped + one.failed, 0)
  // Of one metric or another: each says how many of its own.
  const notFinite = all.flatMap(({ metric, settings }) => {
    const count = settings.reduce((sum, one) => sum + one.notFinite, 0)
    return count ? [`${count} of ${metric.title}`] : []
  })
  return [
    `${MEANS} over ${most === 1 ? 'one seed' : `up to ${most} seeds`}, held-out. The best mean is bold; an upper bound never is.`,
    ...(stopped
      ? [
          `${stopped === 1 ? 'A cell that was stopped or failed is' : `${stopped} cells that were stopped or failed are`} left out.`,
        ]
      : []),
    ...(notFinite.length ? [`Values that are no finite number are left out: ${notFinite.join(', ')}.`] : []),
  ]
}

/** What the marks say, and by which test; nothing where there is none. */
function differences(all: readonly GridResults[]): string[] {
  const marked = all.flatMap(({ settings }) => settings.filter(({ difference }) => difference?.different))
  if (!marked.length) return []
  const tests = {
    documents: 'paired bootstrap over seeds and held-out documents',
    seeds: 'Student’s paired test over seeds',
  }
  const bases = [...new Set(marked.map(({ difference }) => tests[difference!.basis]))]
  return [
    `† differs from ${all[0]!.baseline}: the 95 % interval of the difference leaves 0 out, and p is below 0.05 after Holm’s correction over the settings (${bases.join(', else ')}).`,
  ]
}

const MEANS = 'Mean ± sample standard deviation'

function matrixTable(
  name: string,
  results: GridResults,
  matrix: NonNullable<GridResults['matrix']>,
): LatexTable {
  const { metric, axes } = results
  const labels = (path: string) => axes.find((axis) => axis.path === path)!.values.map(({ label }) => label)
  const columns = labels(matrix.columns)
  return {
    title: `${name}: ${headOf(metric)} by ${matrix.rows} (rows) and ${matrix.columns} (columns)`,
    notes: [`${MEANS} over seeds${axes.length > 2 ? ', averaged over the other axes' : ''}, held-out.`],
    names: 1,
    columns: `l${'r'.repeat(columns.length)}`,
    head: ['', ...columns],
    rows: matrix.cells.map((cells, i) => [
      latexText(labels(matrix.rows)[i]!),
      ...cells.map((cell) => quantity(cell, cell.best)),
    ]),
  }
}

/** A figure an axis that has several values. */
function marginals(name: string, { axes, metric }: GridResults): LatexFigure[] {
  return axes
    .filter(({ values }) => values.length > 1)
    .map(({ path, values }) =>
      pgfMeans(
        {
          title: `${name}: ${metric.title} by ${path}`,
          note: `${MEANS} over seeds${axes.length > 1 ? ', averaged over the other axes' : ''}, held-out.`,
          xLabel: path,
          yLabel: headOf(metric),
        },
        values.map(({ label, spread: { mean, sd } }) => ({ name: label, mean, deviation: sd })),
      ),
    )
}

function quantity({ mean, sd }: Pick<Spread, 'mean' | 'sd'>, best: boolean, marked = false): string {
  if (mean === null) return '--'
  const [value, deviation] = meanWithDeviation(mean, sd)
  return latexQuantity({ value, deviation: deviation ?? undefined, best, marked })
}
