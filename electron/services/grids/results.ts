import {
  notFound,
  type GridCell,
  type GridMetric,
  type GridResults,
  type GridRow,
  type SettingResult,
  type Spread,
} from '#contract'
import { importanceOf, mean } from './importance'

export interface ResultsQuery {
  metric?: string
  /** Key of a setting; default the first with a completed cell. */
  baseline?: string
  /** Axes of the matrix; default the first two that vary. */
  rows?: string
  columns?: string
}

type Measured = GridCell & { run: string; value: number }

/**
 * What a grid has found: one metric over its settings, axes and seeds. Completed cells alone count; stopped and failed
 * ones are counted beside.
 *
 * @param metrics titles and directions of the known metrics
 * @throws not-found naming a metric, an axis or a setting that is not there
 */
export function gridResults(
  row: Pick<GridRow, 'axes' | 'cells'>,
  metrics: readonly GridMetric[],
  query: ResultsQuery = {},
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
  const measured = completed.flatMap((cell): Measured[] => {
    const value = cell.metrics[key]
    return cell.run !== undefined && value != null ? [{ ...cell, run: cell.run, value }] : []
  })
  const settings = settingsOf(row, measured)
  const withValue = settings.filter((setting) => setting.mean !== null)
  const baseline = query.baseline ?? withValue[0]?.key ?? null
  if (query.baseline !== undefined && !settings.some((setting) => setting.key === query.baseline)) {
    throw notFound(
      'setting',
      query.baseline,
      settings.map((setting) => setting.key),
    )
  }
  const base = measured.filter((cell) => settingKey(cell.axes) === baseline)
  for (const setting of settings) {
    const own = measured.filter((cell) => settingKey(cell.axes) === setting.key)
    setting.difference = setting.key === baseline ? null : pairedDifference(own, base)
  }
  const paths = Object.keys(row.axes)
  const sizes = paths.map((path) => row.axes[path]!.length)
  const importance = importanceOf(
    sizes,
    withValue.map((setting) => ({
      at: paths.map((path) => indexOf(row.axes[path]!, setting.axes[path])),
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
        label: valueLabel(value),
        value,
        spread: summarise(measured.filter((cell) => same(cell.axes[path], value))),
      })),
      importance: importance && sizes[i]! > 1 ? importance.main[i]! : null,
    })),
    interactions: importance?.interactions ?? null,
    filledIn: importance?.filledIn ?? 0,
    matrix: matrixOf(row, measured, query),
    best: bestOf(withValue, metric),
    baseline,
  }
}

/** Mean over settings, deviation over seeds: a seed's value is its mean over the settings. */
export function summarise(cells: readonly Measured[]): Spread {
  const groups = [...bySetting(cells).values()]
  const runs = cells.map(({ run }) => run)
  if (!groups.length) return { mean: null, sd: null, low: null, high: null, seeds: 0, cells: 0, runs }
  const overall = mean(groups.map((group) => mean(group.map(({ value }) => value))))
  const seeds = groups[0]!
    .map(({ seed }) => seed)
    .filter((seed) => groups.every((group) => group.some((cell) => cell.seed === seed)))
  const values = seeds.map((seed) =>
    mean(groups.map((group) => group.find((cell) => cell.seed === seed)!.value)),
  )
  const sd = deviation(values)
  const half = sd === null ? null : (studentQuantile(seeds.length - 1) * sd) / Math.sqrt(seeds.length)
  return {
    mean: overall,
    sd,
    low: half === null ? null : overall - half,
    high: half === null ? null : overall + half,
    seeds: seeds.length,
    cells: cells.length,
    runs,
  }
}

/** Differences of the seeds that both have: Student's interval of their mean. */
function pairedDifference(own: readonly Measured[], base: readonly Measured[]): SettingResult['difference'] {
  const differences = own.flatMap(({ seed, value }) => {
    const other = base.find((cell) => cell.seed === seed)
    return other ? [value - other.value] : []
  })
  if (!differences.length) return null
  const seeds = differences.length
  const center = mean(differences)
  const sd = deviation(differences)
  if (sd === null) return { mean: center, low: null, high: null, seeds, different: null }
  const half = (studentQuantile(seeds - 1) * sd) / Math.sqrt(seeds)
  const [low, high] = [center - half, center + half]
  return { mean: center, low, high, seeds, different: low > 0 || high < 0 }
}

function settingsOf(row: Pick<GridRow, 'axes' | 'cells'>, measured: readonly Measured[]): SettingResult[] {
  return [...bySetting(row.cells)].map(([key, cells]) => ({
    ...summarise(measured.filter(({ axes }) => settingKey(axes) === key)),
    key,
    axes: cells[0]!.axes,
    stopped: cells.filter(({ status }) => status === 'stopped').length,
    failed: cells.filter(({ status }) => status === 'failed').length,
    difference: null,
  }))
}

function matrixOf(
  row: Pick<GridRow, 'axes'>,
  measured: readonly Measured[],
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
    row.axes[columns]!.map((c) =>
      summarise(measured.filter(({ axes }) => same(axes[rows], r) && same(axes[columns], c))),
    ),
  )
  return { rows, columns, cells }
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

function bestOf(settings: readonly SettingResult[], { better }: GridMetric): string | null {
  if (better === 'neither' || !settings.length) return null
  const sign = better === 'lower' ? 1 : -1
  return settings.reduce((a, b) => (sign * b.mean! < sign * a.mean! ? b : a)).key
}

function bySetting<C extends Pick<GridCell, 'axes'>>(cells: readonly C[]): Map<string, C[]> {
  const groups = new Map<string, C[]>()
  for (const cell of cells) {
    const key = settingKey(cell.axes)
    const group = groups.get(key)
    if (group) group.push(cell)
    else groups.set(key, [cell])
  }
  return groups
}

/** `weighting.strategy=entropy, teachers=a + b`. */
export function settingKey(axes: Record<string, unknown>): string {
  const parts = Object.entries(axes).map(([path, value]) => `${path}=${valueLabel(value)}`)
  return parts.join(', ') || 'base'
}

/** An axis value in a few letters. */
export function valueLabel(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueLabel).join(' + ') || 'none'
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([key, inner]) => `${key} ${valueLabel(inner)}`)
    .join(', ')
}

function indexOf(values: readonly unknown[], value: unknown): number {
  return values.findIndex((other) => same(other, value))
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** Of a sample (n - 1); null with fewer than two values. */
function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null
  const center = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1))
}

/** 0.975 quantiles of Student's t for 1, 2, ... degrees of freedom (Abramowitz and Stegun, table 26.10). */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
]

function studentQuantile(freedom: number): number {
  return STUDENT[freedom - 1] ?? 1.96
}
