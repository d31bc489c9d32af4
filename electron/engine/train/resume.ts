import { join } from 'node:path'
import {
  badInput,
  checkpointFolder,
  evaluatesAt,
  isEvaluation,
  parseMetricsLine,
  RetortError,
  runFiles,
  type Checkpoint,
  type RunConfig,
} from '#contract'
import { listCheckpoints, readJsonLines } from '../../files'
import { readCheckpoint, type TrainingState } from './checkpoint'

/** Where a run goes on. */
export interface ResumePoint {
  row: Checkpoint
  state: TrainingState
  /** Why it is not a newer checkpoint: a sentence for each that was passed over. */
  passedOver: string[]
}

/**
 * The newest checkpoint that is whole and up to which the metrics log has every record: what came after it is computed
 * again, bit for bit, so that neither a damaged checkpoint nor a log that lost its end shows in the run.
 *
 * @param folder the run's
 * @returns undefined for a run that has written no checkpoint: it begins anew
 * @throws bad-input when it has written some and can go on from none of them
 */
export async function findResumePoint(folder: string, config: RunConfig): Promise<ResumePoint | undefined> {
  const checkpoints = join(folder, runFiles.checkpoints)
  const unfit = new Map<number, string>()
  const rows = listCheckpoints(checkpoints, ({ message }, step) => unfit.set(step, message))
  const logged = loggedUpTo(folder, config)
  for (const row of rows.reverse()) {
    try {
      if (row.step > logged.step) throw badInput(logged.why)
      const state = await readCheckpoint(checkpoints, row)
      const newer = [...unfit].filter(([step]) => step > row.step).sort(([a], [b]) => b - a)
      const passedOver = newer.map(([step, why]) => `${checkpointFolder(step)} is passed over: ${why}`)
      return { row, state, passedOver }
    } catch (error) {
      if (!(error instanceof RetortError)) throw error
      unfit.set(row.step, error.message)
    }
  }
  if (!unfit.size) return undefined
  const all = [...unfit].map(([step, why]) => `${checkpointFolder(step)}: ${why}`)
  throw badInput(`the run can go on from none of its checkpoints (${all.join('; ')})`, {
    file: checkpoints,
    expected: 'a whole checkpoint that the metrics log reaches; start the run anew',
  })
}

/** The last step up to which the log lacks no record of a step or an evaluation, and what it lacks after it. */
function loggedUpTo(folder: string, { experiment, continues }: RunConfig): { step: number; why: string } {
  const file = join(folder, runFiles.metrics)
  const [steps, evaluations] = [new Set<number>(), new Set<number>()]
  const { records } = readJsonLines(file, { parse: parseMetricsLine, damaged: () => {} })
  for (const line of records) (isEvaluation(line) ? evaluations : steps).add(line.step)
  for (let step = continues ? 0 : 1; ; step++) {
    const lacks = (what: string) => ({
      step: step - 1,
      why: `${runFiles.metrics} lacks ${what} of step ${step}`,
    })
    if (step > 0 && !steps.has(step)) return lacks('the record')
    if ((step === 0 || evaluatesAt(experiment, step)) && !evaluations.has(step))
      return lacks('the evaluation')
  }
}
