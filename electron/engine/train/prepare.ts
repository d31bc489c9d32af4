import type { Job } from '#contract'
import { startBackend } from '../backend'
import { loadTokenizer } from '../data/tokenizer'
import type { Control } from './control'
import { HeldOut } from './evaluation'
import { openBatchPlan } from './plan'
import { openTeachers } from './readings'
import type { RunResult } from './openRun'
import type { Emit } from './runLog'

/**
 * Makes the passes of a run's teachers that the cache lacks, without training it: it and the runs that share them find
 * them there. Nothing is written to the run's folder. Stopped between two batches, it goes on there the next time.
 */
export async function prepareRun(
  job: Extract<Job, { kind: 'prepare' }>,
  control: Control,
  emit: Emit,
): Promise<Pick<RunResult, 'status' | 'step'>> {
  const { dataDir, config, threads, backend } = job
  const own = config.experiment.backend
  await startBackend(own === 'auto' ? backend : own, { threads })
  const tokenizer = await loadTokenizer(dataDir, config.tokenizer)
  const plan = await openBatchPlan(dataDir, config, emit)
  const heldOut = await HeldOut.open(dataDir, config, tokenizer)
  const { outputs } = await openTeachers(job, config, { tokenizer, plan, heldOut, first: true }, emit)
  try {
    await outputs.fill({
      proceed: async () => !control.stopRequested,
      progress: (phase, fraction) => emit({ type: 'progress', phase, fraction }),
      tell: (own) => emit({ type: 'teacher-outputs', outputs: own }),
    })
  } finally {
    await outputs.close()
    await plan.close()
  }
  return { status: control.stopRequested ? 'stopped' : 'completed', step: 0 }
}
