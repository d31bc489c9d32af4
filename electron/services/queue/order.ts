import type { Run, TeacherOutputs } from '#contract'
import { rowOf, RunFolder } from '../../store'
import type { Context } from '../context'

/** The waiting run that goes next: highest priority, then lowest place. */
export function nextWaiting(runs: readonly Run[], mayStart: (row: Run) => boolean): Run | undefined {
  let next: Run | undefined
  for (const row of runs) {
    if (row.status !== 'queued' || !mayStart(row)) continue
    if (!next || goesBefore(row, next)) next = row
  }
  return next
}

function goesBefore(a: Run, b: Run): boolean {
  return a.priority === b.priority ? a.place < b.place : a.priority > b.priority
}

/** Priority and place that put `row` right before `target` among the waiting ones, or behind all of them. */
export function placeBefore(
  runs: readonly Run[],
  row: Run,
  target: Run | undefined,
): Pick<Run, 'priority' | 'place'> {
  const others = runs
    .filter((other) => other !== row && other.status === 'queued')
    .sort((a, b) => (goesBefore(a, b) ? -1 : 1))
  const at = target ? others.indexOf(target) : -1
  if (at < 0) {
    const last = others.at(-1)
    return { priority: last?.priority ?? row.priority, place: (last?.place ?? row.place) + 1 }
  }
  const { priority, place } = others[at]!
  const before = others[at - 1]
  return { priority, place: before?.priority === priority ? (before.place + place) / 2 : place - 1 }
}

/**
 * Rows that say a run is going on, from a host that is gone: what reached their folders is kept. One whose folder says
 * that it had completed has; the others failed.
 *
 * @returns the ids of those that failed so
 */
export function adoptOrphans({ catalogue, dataDir }: Context): Set<string> {
  // A cluster's runs go on without a host.
  const orphans = catalogue.data.runs.filter(
    ({ status, cluster }) => cluster === undefined && (status === 'running' || status === 'paused'),
  )
  const failed = new Set<string>()
  if (!orphans.length) return failed
  catalogue.update(() => {
    for (const row of orphans) {
      const folder = new RunFolder(dataDir, row.id)
      const config = folder.config()
      const { status, step, last, evaluation, best, endedAt } = config ? rowOf(config, folder) : row
      Object.assign(row, { step, last, evaluation, best })
      // A teacher joins the library when its host hears of its end, so its run has to end once more.
      if (status === 'completed' && row.kind === 'student') Object.assign(row, { status, endedAt })
      else {
        failed.add(row.id)
        row.status = 'failed'
        row.reason = 'the app ended while it ran; resume it from its last checkpoint'
      }
    }
  })
  return failed
}

/** What a resumed run's teachers cost, its earlier processes included. */
export function addOutputs(
  earlier: readonly TeacherOutputs[] = [],
  own: readonly TeacherOutputs[],
): TeacherOutputs[] {
  return own.map((one) => {
    const before = earlier.find(({ key }) => key === one.key)
    if (!before) return one
    return {
      ...one,
      computed: before.computed + one.computed,
      reused: before.reused + one.reused,
      seconds: before.seconds + one.seconds,
      secondsSaved: before.secondsSaved + one.secondsSaved,
    }
  })
}
