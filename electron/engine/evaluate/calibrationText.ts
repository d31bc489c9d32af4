import type { RunConfig } from '#contract'
import { CALIBRATION_TOKENS } from '../../files'
import type { TextTokenizer } from '../data/textTokenizer'
import { heldOutText } from './heldOut'
import { scoringWindows, type WindowBatch } from './windows'

/** Name of their windows among what the teachers read. */
export const CALIBRATION_SPLIT = 'calibration'

/**
 * The beginning of a run's calibration documents, corpora by their weights, as windows that score every token once.
 * None when no corpus has such documents.
 */
export async function calibrationText(
  dataDir: string,
  { corpora, experiment, tokenizer: row }: RunConfig,
  tokenizer: TextTokenizer,
): Promise<WindowBatch[]> {
  const { batch, context } = experiment.train
  const sum = corpora.reduce((total, { weight }) => total + weight, 0)
  const ids: number[] = []
  for (const { row: corpus, weight } of corpora) {
    const budget = Math.max(2, Math.round((CALIBRATION_TOKENS * weight) / sum))
    const text = await heldOutText(dataDir, corpus, row, tokenizer, budget, 'calibration')
    ids.push(...text.ids)
  }
  if (ids.length < 2) return []
  return scoringWindows(Int32Array.from(ids), { context, batch, bos: tokenizer.bos, stride: context })
}
