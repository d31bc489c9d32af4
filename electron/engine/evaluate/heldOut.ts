import type { CorpusRead, Tokenizer } from '#contract'
import { openText, type CorpusText } from '../data/corpusText'
import type { Split } from '../data/documents'
import type { TextTokenizer } from '../data/textTokenizer'

/** The beginning of a split, in memory. */
export interface HeldOutText extends Omit<CorpusText, 'ids' | 'mask' | 'bos'> {
  ids: Int32Array
  /** Of what counts. */
  bytes: number
  /** 1 where a token counts as a target, [ids]; absent where all do. */
  mask?: Uint8Array
}

/**
 * The first whole documents of a split of a corpus (default: held out), as many as hold at most `tokens` tokens (at least one, cut
 * if it is longer). Whole documents, so that their bytes can be counted exactly for bits per byte.
 */
export async function heldOutText(
  dataDir: string,
  corpus: CorpusRead,
  row: Tokenizer,
  tokenizer: TextTokenizer,
  tokens: number,
  split: Split = 'held-out',
): Promise<HeldOutText> {
  const text = await openText(dataDir, corpus, row, split, undefined, tokens + 1)
  if (corpus.row.conversations) return conversations(text, tokenizer, tokens)
  const { ids, bytes, bos, documents } = text
  const first = ids.subarray(0, tokens + 1)
  if (ids.length <= tokens) return { ids: first, bytes, documents }
  let end = tokens
  while (end > 1 && first[end] !== bos) end--
  const part = first.subarray(0, end > 1 ? end : tokens)
  return { ids: part, bytes: countBytes(part, bos, tokenizer), documents: within(documents, part.length) }
}

/** The first tokens of conversations, whose bytes are those of the tokens that count. */
function conversations(
  { ids, mask, documents }: CorpusText,
  tokenizer: TextTokenizer,
  tokens: number,
): HeldOutText {
  const part = ids.subarray(0, tokens)
  const counted = mask?.subarray(0, tokens)
  const bytes = part.reduce((sum, id, i) => sum + ((counted?.[i] ?? 1) && tokenizer.piece(id).length), 0)
  return {
    ids: part,
    bytes,
    documents: within(documents, part.length),
    ...(counted && { mask: counted }),
  }
}

/** The documents, or their beginnings, among the first ids. */
function within(documents: Int32Array | undefined, length: number): Int32Array | undefined {
  if (!documents) return undefined
  const count = documents.filter((begin, i) => i % 2 === 0 && begin < length).length
  return documents.subarray(0, 2 * count).map((place) => Math.min(place, length))
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
