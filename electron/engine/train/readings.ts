import { learnsFromTeachers, type Job, type RunConfig } from '#contract'
import { createBatchPlan, type BatchPlan } from '../data/batchPlan'
import { openTokens } from '../data/tokenFile'
import type { TextTokenizer } from '../data/textTokenizer'
import { calibrationText } from '../evaluate/calibrationText'
import type { WindowBatch } from '../evaluate/windows'
import { RunTeachers } from '../teachers/open'
import type { HeldOut } from './evaluation'
import type { Emit } from './runLog'

/** The training batches of a run; its corpora are tokenized where they are not yet. */
export async function openBatchPlan(dataDir: string, config: RunConfig, emit: Emit): Promise<BatchPlan> {
  const { seed, train } = config.experiment
  const sources = []
  for (const { row, weight } of config.corpora) {
    const progress = (phase: string, fraction: number) => emit({ type: 'progress', phase, fraction })
    const tokens = await openTokens(dataDir, row, config.tokenizer, 'train', progress)
    sources.push({ tokens, weight, name: row.name })
  }
  return createBatchPlan({
    seed: train.dataSeed ?? seed,
    batch: train.batch,
    context: train.context,
    sources,
  })
}

export interface TeachersRead {
  outputs: RunTeachers
  /** Windows on which the teachers are looked at before the first step; none where nobody does. */
  calibration: readonly WindowBatch[]
}

/**
 * A run's teachers with everything that it reads of them.
 *
 * @param parts.first whether the run is at its beginning: teachers are looked at once in its life, if it learns from them
 */
export async function openTeachers(
  job: Pick<Extract<Job, { kind: 'run' }>, 'dataDir' | 'autoCache' | 'sharedAlignments'>,
  config: RunConfig,
  parts: { tokenizer: TextTokenizer; plan: BatchPlan; heldOut: HeldOut; first: boolean },
  emit: Emit,
): Promise<TeachersRead> {
  const { dataDir, autoCache, sharedAlignments } = job
  const { tokenizer, plan, heldOut, first } = parts
  const looks = first && config.teachers.length > 0 && learnsFromTeachers(config.experiment)
  const calibration = looks ? await calibrationText(dataDir, config, tokenizer) : []
  const { mode } = config.experiment.cache
  const outputs = await RunTeachers.open(
    dataDir,
    config,
    mode === 'auto' ? autoCache : mode,
    { plan, heldOut: heldOut.readings, calibration, sharedAlignments },
    (message) => emit({ type: 'log', level: 'warn', message }),
  )
  return { outputs, calibration }
}
