import { meanAndDeviation, numberOf, seedless, type RunRow } from '#contract'

export const foldings = { grid: 'Grid', experiment: 'Experiment', seeds: 'Seeds' } as const
export type Folding = keyof typeof foldings
export const isFolding = (name: string): name is Folding => Object.hasOwn(foldings, name)

/** A line of the list: a run, or those that are folded into one. */
export type Line = { fold: Fold } | { run: RunRow; within: boolean }

export interface Fold {
  key: string
  label: string
  runs: RunRow[]
}

/**
 * Runs in their order, those of one grid, experiment or name together where the first of them is; what belongs to none,
 * or is alone, stays a line of its own.
 *
 * @param label the name of a grid or an experiment; undefined of one that is none (any more)
 * @param open keys of what is unfolded
 */
export function foldRuns(
  runs: readonly RunRow[],
  folding: Folding,
  label: (id: string) => string | undefined,
  open: ReadonlySet<string>,
): Line[] {
  const keyOf = (run: RunRow) => {
    if (folding === 'seeds') return `${run.group ?? ''} ${seedless(run.name)}`
    const id = folding === 'grid' ? run.group : run.experiment
    return id !== undefined && label(id) !== undefined ? id : undefined
  }
  const folds = new Map<string, Fold>()
  const lines: (RunRow | Fold)[] = []
  for (const run of runs) {
    const key = keyOf(run)
    const known = key === undefined ? undefined : folds.get(key)
    if (known) known.runs.push(run)
    else if (key === undefined) lines.push(run)
    else {
      const fold = { key, label: folding === 'seeds' ? seedless(run.name) : label(key)!, runs: [run] }
      folds.set(key, fold)
      lines.push(fold)
    }
  }
  return lines.flatMap((line): Line[] => {
    if (!('runs' in line)) return [{ run: line, within: false }]
    if (line.runs.length === 1) return [{ run: line.runs[0]!, within: false }]
    const within = open.has(line.key) ? line.runs.map((run) => ({ run, within: true })) : []
    return [{ fold: line }, ...within]
  })
}

/** Mean of what was measured and sample standard deviation; the latter undefined of one. */
export function meanOf(values: readonly unknown[]): { mean: number; deviation?: number } | undefined {
  const own = values.map((value) => numberOf(value as number)).filter(Number.isFinite)
  if (!own.length) return undefined
  const { mean, deviation } = meanAndDeviation(own)
  return deviation === null ? { mean } : { mean, deviation }
}
