import { learnsFromTeachers, type Job, type RunConfig } from '#contract'
import type { BatchPlan } from '../data/batchPlan'
import type { TextTokenizer } from '../data/textTokenizer'
import { calibrationText } from '../evaluate/calibrationText'
import type { WindowBatch } from '../evaluate/windows'
import { RunTeachers } from '../teachers/open'
import type { HeldOut } from './evaluation'
import type { Emit } from './runLog'

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
  const calibration = looks ? await calibrationText(dataDir, config, tokenizer, plan.weights) : []
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
