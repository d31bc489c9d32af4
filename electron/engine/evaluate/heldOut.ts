import type { Corpus, Tokenizer } from '#contract'
import type { Split } from '../data/documents'
import { openTokens } from '../data/tokenFile'
import type { TextTokenizer } from '../data/textTokenizer'

export interface HeldOutText {
  /** BOS before every document. */
  ids: Int32Array
  /** UTF-8 bytes of the text that the ids stand for. */
  bytes: number
}

/**
 * The first whole documents of a split of a corpus (default: held out), as many as hold at most `tokens` tokens (at least one, cut
 * if it is longer). Whole documents, so that their bytes can be counted exactly for bits per byte.
 */
export async function heldOutText(
  dataDir: string,
  corpus: Corpus,
  row: Tokenizer,
  tokenizer: TextTokenizer,
  tokens: number,
  split: Split = 'held-out',
): Promise<HeldOutText> {
  const { ids, bytes, bos } = await openTokens(dataDir, corpus, row, split)
  if (ids.length <= tokens) return { ids, bytes }
  let end = tokens
  while (end > 1 && ids[end] !== bos) end--
  const part = ids.subarray(0, end > 1 ? end : tokens)
  return { ids: part, bytes: countBytes(part, bos, tokenizer) }
}

function countBytes(ids: Int32Array, bos: number, tokenizer: TextTokenizer): number {
  let bytes = 0
  for (let start = 0; start < ids.length;) {
    let end = start + 1
    while (end < ids.length && ids[end] !== bos) end++
    bytes += Buffer.byteLength(tokenizer.decode(ids.subarray(start + 1, end)))
    start = end
  }
  return bytes
}
