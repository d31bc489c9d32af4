import {
  isNumber,
  settingText,
  notFound,
  type GridCell,
  type GridMetric,
  type GridResults,
  type GridRow,
  type Measured,
  type SettingResult,
  type ShadedSpread,
} from '#contract'
import { differencesTo, intervalOf } from './differences'
import { DocumentBootstrap } from './documents'
import { importanceOf } from './importance'
import { bySetting, same, settingKey, summarise, type MeasuredCell } from './spread'

export interface ResultsQuery {
  metric?: string
  /** Key of a setting; default the first with a completed cell. */
  baseline?: string
  /** Axes of the matrix; default the first two that vary. */
  rows?: string
  columns?: string
}

/**
 * What a grid has found: one metric over its settings, axes and seeds. Completed cells alone count, where their value is
 * a finite number; the others are counted beside.
 *
 * @param metrics titles and directions of the known metrics
 * @param bootstrap over what runs scored on each held-out document, for intervals
 * @throws not-found naming a metric, an axis or a setting that is not there
 */
export function gridResults(
  row: Pick<GridRow, 'axes' | 'cells'>,
  metrics: readonly GridMetric[],
  query: ResultsQuery = {},
  bootstrap = new DocumentBootstrap(() => undefined),
): GridResults {
  const completed = row.cells.filter(({ status }) => status === 'completed')
  const available = availableMetrics(completed, metrics)
  const key = query.metric ?? available[0]?.key ?? metrics[0]!.key
  const metric = [...available, ...metrics].find((one) => one.key === key)
  if (!metric)
    throw notFound(
      'metric',
      key,
      available.map((one) => one.key),
    )
  const measured = completed.flatMap((cell): MeasuredCell[] => {
    const value = cell.metrics[key]
    return cell.run !== undefined && isNumber(value) ? [{ ...cell, run: cell.run, value }] : []
  })
  const settings = settingsOf(row, measured, key)
  shade(settings, metric)
  const withValue = settings.filter((setting) => setting.mean !== null)
  const baseline = query.baseline ?? withValue[0]?.key ?? null
  if (query.baseline !== undefined && !settings.some((setting) => setting.key === query.baseline)) {
    throw notFound(
      'setting',
      query.baseline,
      settings.map((setting) => setting.key),
    )
  }
  const cellsOf = (key: string | null) => measured.filter((cell) => settingKey(cell.axes) === key)
  const others = withValue.filter((setting) => setting.key !== baseline)
  const differences = differencesTo(
    cellsOf(baseline),
    others.map((setting) => cellsOf(setting.key)),
    key,
    bootstrap,
  )
  for (const [i, setting] of others.entries()) setting.difference = differences[i]!
  const best = bestOf(withValue, metric)
  const paths = Object.keys(row.axes)
  const sizes = paths.map((path) => row.axes[path]!.length)
  const importance = importanceOf(
    sizes,
    withValue.map((setting) => ({
      at: setting.at,
      value: setting.mean!,
    })),
  )
  return {
    metric,
    metrics: available,
    settings,
    axes: paths.map((path, i) => ({
      path,
      values: row.axes[path]!.map((value) => ({
        label: settingText(value),
        value,
        spread: summarise(measured.filter((cell) => same(cell.axes[path], value))),
      })),
      importance: importance && sizes[i]! > 1 ? importance.main[i]! : null,
    })),
    interactions: importance?.interactions ?? null,
    filledIn: importance?.filledIn ?? 0,
    matrix: matrixOf(row, measured, metric, query),
    best: best?.key ?? null,
    bestInterval: best ? intervalOf(cellsOf(best.key), best, key, bootstrap) : null,
    baseline,
  }
}

function settingsOf(
  row: Pick<GridRow, 'axes' | 'cells'>,
  measured: readonly MeasuredCell[],
  metric: string,
): SettingResult[] {
  return [...bySetting(row.cells)].map(([key, cells]) => ({
    ...summarise(measured.filter(({ axes }) => settingKey(axes) === key)),
    key,
    axes: cells[0]!.axes,
    at: Object.entries(row.axes).map(([path, values]) =>
      values.findIndex((value) => same(value, cells[0]!.axes[path])),
    ),
    stopped: cells.filter(({ status }) => status === 'stopped').length,
    failed: cells.filter(({ status }) => status === 'failed').length,
    notFinite: cells.filter(({ status, metrics }) => status === 'completed' && isNotFinite(metrics[metric]))
      .length,
    upperBound: isUpperBound(cells[0]!.axes),
    shade: null,
    best: false,
    difference: null,
  }))
}

/** Infinite, or no number, though it was measured. */
const isNotFinite = (value: Measured | null | undefined) => value != null && !isNumber(value)

function matrixOf(
  row: Pick<GridRow, 'axes'>,
  measured: readonly MeasuredCell[],
  metric: GridMetric,
  query: ResultsQuery,
): GridResults['matrix'] {
  const paths = Object.keys(row.axes)
  for (const wanted of [query.rows, query.columns]) {
    if (wanted !== undefined && !paths.includes(wanted)) throw notFound('axis', wanted, paths)
  }
  if (paths.length < 2) return undefined
  const varied = [...paths].sort((a, b) => Number(row.axes[b]!.length > 1) - Number(row.axes[a]!.length > 1))
  const rows = query.rows ?? varied.find((path) => path !== query.columns)!
  const columns =
    query.columns !== undefined && query.columns !== rows
      ? query.columns
      : varied.find((path) => path !== rows)!
  const cells = row.axes[rows]!.map((r) =>
    row.axes[columns]!.map((c) => ({
      ...summarise(measured.filter(({ axes }) => same(axes[rows], r) && same(axes[columns], c))),
      upperBound: isUpperBound({ [rows]: r, [columns]: c }),
      shade: null,
      best: false,
    })),
  )
  shade(cells.flat(), metric)
  return { rows, columns, cells }
}

/** Whether a setting knows the right answers (METHOD: the oracle). */
function isUpperBound(axes: Record<string, unknown>): boolean {
  const { weighting } = axes as { weighting?: { strategy?: unknown } | null }
  return axes['weighting.strategy'] === 'oracle' || weighting?.strategy === 'oracle'
}

/** Places each between the worst mean and the best, and says which is the best of those that may be. */
function shade(cells: readonly (ShadedSpread & { upperBound: boolean })[], { better }: GridMetric): void {
  const means = cells.flatMap(({ mean }) => (mean === null ? [] : [mean]))
  const [low, high] = [Math.min(...means), Math.max(...means)]
  for (const cell of cells) {
    if (cell.mean === null) continue
    const share = high > low ? (cell.mean - low) / (high - low) : 0.5
    cell.shade = better === 'lower' ? 1 - share : share
  }
  const eligible = cells.filter((cell) => cell.shade !== null && !cell.upperBound)
  const most = Math.max(...eligible.map(({ shade }) => shade!))
  for (const cell of eligible) cell.best = better !== 'neither' && cells.length > 1 && cell.shade === most
}

function availableMetrics(completed: readonly GridCell[], known: readonly GridMetric[]): GridMetric[] {
  const keys = new Set(
    completed.flatMap(({ metrics }) =>
      Object.entries(metrics).flatMap(([key, value]) => (value === null ? [] : [key])),
    ),
  )
  const titled = known.filter(({ key }) => keys.delete(key))
  return [
    ...titled,
    ...[...keys].map((key): GridMetric => ({ key, title: key, unit: '', better: 'neither' })),
  ]
}

function bestOf(settings: readonly SettingResult[], { better }: GridMetric): SettingResult | undefined {
  const eligible = settings.filter(({ upperBound }) => !upperBound)
  if (better === 'neither' || !eligible.length) return undefined
  const sign = better === 'lower' ? 1 : -1
  return eligible.reduce((a, b) => (sign * b.mean! < sign * a.mean! ? b : a))
}
