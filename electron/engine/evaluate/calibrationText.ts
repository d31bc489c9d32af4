import type { RunConfig } from '#contract'
import { CALIBRATION_TOKENS } from '../../files'
import type { TextTokenizer } from '../data/textTokenizer'
import { heldOutText, type HeldOutText } from './heldOut'
import { scoringWindows, type WindowBatch } from './windows'

/** Name of their windows among what the teachers read. */
export const CALIBRATION_SPLIT = 'calibration'

/**
 * The beginning of a run's calibration documents, as much of each corpus as it is drawn, as windows that score every
 * token once. None when no corpus has such documents.
 *
 * @param drawn what each corpus is drawn by
 */
export async function calibrationText(
  dataDir: string,
  { corpora, experiment, tokenizer: row }: RunConfig,
  tokenizer: TextTokenizer,
  drawn: readonly number[],
): Promise<WindowBatch[]> {
  const { batch, context } = experiment.train
  const sum = drawn.reduce((total, weight) => total + weight, 0)
  const texts: HeldOutText[] = []
  for (const [i, corpus] of corpora.entries()) {
    const budget = Math.max(2, Math.round((CALIBRATION_TOKENS * drawn[i]!) / sum))
    texts.push(await heldOutText(dataDir, corpus, row, tokenizer, budget, 'calibration'))
  }
  const ids = Int32Array.from(texts.flatMap((text) => [...text.ids]))
  if (ids.length < 2) return []
  const options = { context, batch, bos: tokenizer.bos, stride: context }
  return scoringWindows(ids, { ...options, ...apart(texts, tokenizer.bos) })
}

/** What of texts that follow each other counts, and where they are read apart; nothing where all are plain. */
function apart(texts: readonly HeldOutText[], bos: number): Pick<HeldOutText, 'mask' | 'documents'> {
  if (!texts.some(({ mask, documents }) => mask ?? documents)) return {}
  const mask: number[] = []
  const documents: number[] = []
  for (const { ids, documents: own = Int32Array.of(0, ids.length), mask: counted } of texts) {
    documents.push(...own.map((place) => place + mask.length))
    mask.push(...(counted ?? ids.map((id) => (id === bos ? 0 : 1))))
  }
  return { mask: Uint8Array.from(mask), documents: Int32Array.from(documents) }
}
