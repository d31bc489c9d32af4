import {
  parameterCount,
  type AlarmSummary,
  type LoggedEvent,
  type RetortError,
  type Run,
  type RunConfig,
} from '#contract'
import type { RunFolder } from './runFolder'

/**
 * A run's catalogue row, from its folder alone.
 *
 * @param damaged hears of what of its logs cannot be read
 */
export function rowOf(config: RunConfig, folder: RunFolder, damaged?: (problem: RetortError) => void): Run {
  return { ...describeRun(config), ...progressOf(folder, damaged) }
}

/**
 * The part of a run's row that its folder's logs tell: how far it has come, and how it ended. What of them cannot be read
 * is left out, and told where the run has to be gone on with.
 */
export function progressOf(folder: RunFolder, damaged: (problem: RetortError) => void = () => {}) {
  const problems: string[] = []
  const hear = (problem: RetortError) => {
    problems.push(problem.message)
    damaged(problem)
  }
  const { steps, evaluations } = folder.metrics(hear)
  const log = folder.log(hear)
  const checkpoints = folder.checkpoints(hear)
  const end = log.findLast(({ event }) => Object.hasOwn(ENDS, event))
  const began = log.findLast(({ event }) => event === 'started' || event === 'resumed')
  const ended = end && (!began || log.indexOf(end) > log.indexOf(began))
  const lost = log.length || problems.length
  return {
    status: ended ? ENDS[end.event]! : lost ? 'failed' : 'queued',
    step: steps.at(-1)?.step ?? 0,
    last: steps.at(-1),
    evaluation: evaluations.at(-1),
    alarms: summariseAlarms(log),
    best: checkpoints.at(-1)?.best,
    reason: ended
      ? end.message
      : lost
        ? ['its worker ended without a word', ...problems].join('; ')
        : undefined,
    startedAt: log[0]?.at,
    endedAt: ended ? end.at : undefined,
  }
}

/** A run's alarms as its row knows them. */
export function summariseAlarms(log: readonly LoggedEvent[]): AlarmSummary | undefined {
  const alarms = log.flatMap(({ alarm }) => alarm ?? [])
  const last = alarms.at(-1)
  return last && { count: alarms.length, last }
}

const ENDS: Partial<Record<LoggedEvent['event'], Run['status']>> = {
  completed: 'completed',
  stopped: 'stopped',
  failed: 'failed',
}

/** The part of a run's row that its configuration fixes. */
export function describeRun(config: RunConfig): Omit<Run, 'status' | 'step'> {
  const named = ({ id, name }: { id: string; name: string }) => ({ id, name })
  return {
    id: config.id,
    name: config.name,
    kind: config.kind,
    method: config.method,
    steps: config.experiment.train.steps,
    parameters: parameterCount(config.student),
    teachers: config.teachers.map(named),
    foreign: (config.foreign ?? []).map(({ row }) => named(row)),
    corpora: config.corpora.map(({ row }) => named(row)),
    ...(config.origin && { origin: named(config.origin) }),
    seed: config.experiment.seed,
    createdAt: config.createdAt,
    priority: 0,
    place: 0,
    retries: 0,
    autoCache: 'off',
    sharedAlignments: [],
    teacherOutputs: [],
  }
}

/**
 * A run's row as it is rebuilt: what its folder tells of its progress, what a row from before tells of the rest.
 *
 * @param damaged hears of what of the folder cannot be read
 * @throws bad-input or an error when there is neither a configuration nor a row
 */
export function rebuildRow(folder: RunFolder, before: Run | undefined, damaged: (why: string) => void): Run {
  const hear = ({ message }: RetortError) => damaged(message)
  let config: RunConfig | undefined
  try {
    config = folder.config()
    if (!config) throw new Error(`${folder.path}: no config.json`)
  } catch (error) {
    if (!before) throw error
    damaged((error as Error).message)
    return before
  }
  const told = progressOf(folder, hear)
  if (!before) return { ...describeRun(config), ...told, teacherOutputs: outputsOf(folder, damaged) }
  // A cluster's runs go on without their folder; one that never began is as its row says.
  const elsewhere = before.cluster !== undefined && !ended(before)
  if (elsewhere || (!told.startedAt && !told.reason)) return before
  const row: Run = { ...describeRun(config), ...before, ...told }
  // The row knows why it ended, where the folder only shows that nobody wrote so.
  if (!told.endedAt && ended(before)) {
    const { status, reason, endedAt } = before
    Object.assign(row, { status, reason, endedAt })
  }
  // It has seen lines that the logs have lost since.
  if (before.step > told.step && ended(before)) {
    const { step, last, evaluation, best } = before
    Object.assign(row, { step, last, evaluation, best })
  }
  return row
}

const ended = ({ status }: Run) => ['completed', 'failed', 'stopped'].includes(status)

function outputsOf(folder: RunFolder, damaged: (why: string) => void) {
  try {
    return folder.teacherOutputs()
  } catch (error) {
    damaged((error as Error).message)
    return []
  }
}
