import {
  learnsFromTeachers,
  readsCache,
  type PassJob,
  type Run,
  type RunConfig,
  type Submission,
} from '#contract'
import type { TaskState } from '../../cluster'
import { trainingPlan } from '../../files'
import type { Submissions } from './submissions'
import { describeEnd, wasCancelled } from './taskEnd'
import { modeOf } from '../library'

export interface PlannedRun {
  id: string
  config: RunConfig
  autoCache: Run['autoCache']
}

/** A teacher's pass over a plan of batches, kept in one way, and how many batches a run reads of it. */
interface Pass {
  key: string
  batches: number
}

/**
 * Of runs those whose teacher passes together are all that at least two of them share: few, the ones that read most
 * first. What only one run reads it makes itself.
 *
 * @param makers runs whose passes are made, or are being made, already
 */
export function passMakers(runs: readonly PlannedRun[], makers: readonly PlannedRun[] = []): string[] {
  const planned = runs.map((run) => ({ id: run.id, passes: passesOf(run) }))
  const readers = new Map<string, number>()
  for (const { passes } of planned)
    for (const { key } of passes) readers.set(key, (readers.get(key) ?? 0) + 1)
  const made = new Map<string, number>()
  const make = (passes: readonly Pass[]) => {
    for (const { key, batches } of passes) made.set(key, Math.max(batches, made.get(key) ?? 0))
  }
  for (const maker of makers) make(passesOf(maker))
  const most = (passes: readonly Pass[]) => Math.max(0, ...passes.map(({ batches }) => batches))
  return planned
    .map((run) => ({ ...run, passes: run.passes.filter(({ key }) => readers.get(key)! > 1) }))
    .sort((a, b) => b.passes.length - a.passes.length || most(b.passes) - most(a.passes))
    .flatMap(({ id, passes }) => {
      if (passes.every(({ key, batches }) => (made.get(key) ?? 0) >= batches)) return []
      make(passes)
      return [id]
    })
}

/** The passes over training batches that a run reads from the cache. */
function passesOf({ config, autoCache }: PlannedRun): Pass[] {
  const { experiment } = config
  const mode = modeOf(config, autoCache)
  if (mode === 'off' || !learnsFromTeachers(experiment) || !readsCache(experiment, mode)) return []
  const { k, samples, precision } = experiment.cache
  const kept = {
    exact: '',
    states: precision,
    'top-k': `${k} at ${experiment.loss.tau}`,
    sample: `${samples} at ${experiment.loss.tau}`,
  }
  return config.teachers.map((teacher) => {
    const { key, batches } = trainingPlan(config, teacher)
    return { key: `${key} ${mode} ${kept[mode]}`, batches }
  })
}

/** Whether the job that makes the passes has not ended yet. */
export function isPreparing({ passes }: Submission): boolean {
  return passes !== undefined && (passes.state === 'waiting' || passes.state === 'running')
}

/**
 * How the job of a submission's passes goes: as Slurm says, and as its logs say of what Slurm has forgotten.
 *
 * @param states of its tasks, by index
 */
export function passState(
  { id, passes }: Submission,
  states: ReadonlyMap<number, TaskState>,
  submissions: Submissions,
): Pick<PassJob, 'state' | 'reason'> {
  const tasks = passes!.runs.map((_, task) => states.get(task))
  if (tasks.some((task) => task?.state === 'running')) return { state: 'running' }
  const waiting = tasks.find((task) => task?.state === 'pending')
  if (waiting) return { state: 'waiting', reason: waiting.reason }
  const whole = (task: TaskState | undefined, i: number) =>
    task ? task.word === 'COMPLETED' : submissions.exitStatus(id, i, true) === 0
  // Slurm soon forgets a task that was cancelled before it began; it has no log.
  const neverBegan = (task: TaskState | undefined, i: number) =>
    !task &&
    submissions.lastWords(id, i, true) === undefined &&
    submissions.exitStatus(id, i, true) === undefined
  if (tasks.some((task, i) => wasCancelled(task) || neverBegan(task, i)))
    return { state: 'cancelled', reason: 'cancelled on the cluster' }
  const bad = tasks.findIndex((task, i) => !whole(task, i))
  if (bad < 0) return { state: 'completed' }
  return { state: 'failed', reason: describeEnd(tasks[bad], submissions.lastWords(id, bad, true)) }
}
