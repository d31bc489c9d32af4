import { mean, meanAndDeviation, settingText, type GridCell, type Spread } from '#contract'
import { studentQuantile } from '../comparison'

/** A completed cell with the value of the metric that is looked at, a finite one. */
export type MeasuredCell = GridCell & { run: string; value: number }

/** Mean over settings, deviation over seeds: a seed's value is its mean over the settings. */
export function summarise(cells: readonly MeasuredCell[]): Spread {
  const groups = [...bySetting(cells).values()]
  const runs = cells.map(({ run }) => run)
  if (!groups.length) return { mean: null, sd: null, low: null, high: null, seeds: 0, cells: 0, runs }
  const overall = mean(groups.map((group) => mean(group.map(({ value }) => value))))
  const seeds = groups[0]!
    .map(({ seed }) => seed)
    .filter((seed, i, all) => all.indexOf(seed) === i)
    .filter((seed) => groups.every((group) => group.some((cell) => cell.seed === seed)))
  const values = seeds.map((seed) =>
    mean(groups.map((group) => group.find((cell) => cell.seed === seed)!.value)),
  )
  const sd = values.length ? meanAndDeviation(values).deviation : null
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

export function bySetting<C extends Pick<GridCell, 'axes'>>(cells: readonly C[]): Map<string, C[]> {
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
  const parts = Object.entries(axes).map(([path, value]) => `${path}=${settingText(value)}`)
  return parts.join(', ') || 'base'
}

export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
