import {
  measured,
  type GridCell,
  type GridRow,
  type Run,
  type StoredGrid,
  type TeacherOutputs,
} from '#contract'

/** A grid as the page knows it: every cell with its run's state. */
export function gridView(row: StoredGrid, runs: readonly Run[]): GridRow {
  const ended = row.status === 'completed' || row.status === 'failed'
  const byId = new Map(runs.map((run) => [run.id, run]))
  const cells = row.cells.map((cell): GridCell => {
    const run = cell.run === undefined ? undefined : byId.get(cell.run)
    if (!run) return { ...cell, run: undefined, status: 'queued', step: 0, steps: 0, metrics: {} }
    const { reason, step, steps } = run
    const halving = isAtRung(run) ? (ended ? 'stopped' : 'waiting') : undefined
    const status = halving === 'waiting' ? 'queued' : statusOf(run)
    return { ...cell, status, halving, reason, step, steps, metrics: metricsOf(run) }
  })
  return { ...row, cells, ...teacherFigures(row, byId) }
}

/** Whether it has come to the step that successive halving has let it come to. */
export function isAtRung({ status, until, step }: Run): boolean {
  return status === 'stopped' && until !== undefined && step >= until
}

function statusOf({ status }: Run): GridCell['status'] {
  return status === 'paused' ? 'running' : status
}

function metricsOf({ evaluation }: Run): GridCell['metrics'] {
  const numbers = Object.entries(evaluation ?? {}).filter(
    ([key, value]) => !['step', 'seconds', 'split'].includes(key) && measured.safeParse(value).success,
  )
  return Object.fromEntries(numbers) as GridCell['metrics']
}

/** Counted over the runs that this grid started; those it found done cost it nothing. */
function teacherFigures({ id, cells }: StoredGrid, runs: ReadonlyMap<string, Run>) {
  const ids = new Set(cells.map(({ run }) => run))
  const own = [...runs.values()].filter((run) => ids.has(run.id) && run.group === id)
  const outputs = own.flatMap(({ teacherOutputs }) => teacherOutputs)
  const passes = new Set(outputs.filter(({ computed }) => computed > 0).map(({ key }) => key))
  const sum = (of: (one: TeacherOutputs) => number) => outputs.reduce((total, one) => total + of(one), 0)
  const secondsSaved = sum((one) => one.secondsSaved)
  const spent = sum((one) => one.seconds) + own.reduce((total, run) => total + (run.last?.seconds ?? 0), 0)
  return {
    teacherPasses: passes.size,
    cacheHits: outputs.filter(({ computed, reused }) => reused > 0 && computed === 0).length,
    secondsSaved,
    shareSaved: secondsSaved > 0 ? secondsSaved / (secondsSaved + spent) : 0,
  }
}
