import { drawnWeight, learnsFromTeachers, type Job, type RunConfig } from '#contract'
import { createBatchPlan, type BatchPlan, type BatchSource } from '../data/batchPlan'
import { openText } from '../data/corpusText'
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
  for (const corpus of config.corpora) {
    const { row, weight } = corpus
    const progress = (phase: string, fraction: number) => emit({ type: 'progress', phase, fraction })
    const tokens = await openText(dataDir, corpus, config.tokenizer, 'train', progress)
    warnOfCuts(row.name, tokens.documents, train.context, emit)
    sources.push({
      tokens,
      weight: drawnWeight(weight, tokens.ids.length, train.mixture),
      name: row.name,
    })
  }
  for (const text of epochsText(sources, train)) emit({ type: 'log', level: 'info', message: text })
  return createBatchPlan({
    seed: train.dataSeed ?? seed,
    batch: train.batch,
    context: train.context,
    sources,
  })
}

/** What a run's sequences are of each corpus' training split: its share, and how often all of it is read. */
export function epochsText(
  sources: readonly BatchSource[],
  { steps, batch, context }: Pick<RunConfig['experiment']['train'], 'steps' | 'batch' | 'context'>,
): string[] {
  const total = sources.reduce((sum, { weight }) => sum + weight, 0)
  return sources.map(({ name, weight, tokens: { ids, documents } }) => {
    const sequences = (steps * batch * weight) / total
    const epochs = documents ? sequences / (documents.length / 2) : (sequences * context) / ids.length
    const share = ((100 * weight) / total).toPrecision(3)
    return `corpus "${name}" has ${share} % of the sequences: ${epochs.toPrecision(3)} epochs of its ${ids.length} tokens in ${steps} steps`
  })
}

/** Whoever reads documents whole ought to know that some are not. */
function warnOfCuts(name: string, documents: Int32Array | undefined, context: number, emit: Emit): void {
  if (!documents) return
  const long = documents.filter((end, i) => i % 2 && end - documents[i - 1]! > context + 1).length
  if (!long) return
  const of = documents.length / 2
  const message = `${long} of ${of} documents of corpus "${name}" are longer than ${context} tokens: read to there`
  emit({ type: 'log', level: 'warn', message })
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
