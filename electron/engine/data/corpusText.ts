import { tokenReadingOf, type CorpusRead, type Tokenizer, type TokenReading } from '#contract'
import type { Progress } from '../progress'
import type { Split } from './documents'
import { firstTokens, openTokens, type TokenFile } from './tokenFile'
import { places } from './growing'
import { chunksOf, type TokenIds, type TokenMask } from './tokens'

/** One split of a corpus as a run reads it. */
export interface CorpusText {
  /** BOS before every document, unless its template writes another beginning. */
  ids: TokenIds
  /** UTF-8 bytes of the documents' text. */
  bytes: number
  bos: number
  /** Absent where all tokens count. */
  mask?: TokenMask
  /** Where each document begins and ends in the ids, where they are read apart: [begin, end, begin, end, ...]. */
  documents?: Int32Array
}

/**
 * Opens a split of a corpus under a tokenizer, tokenizing it where it is not yet.
 *
 * @param tokens that are enough: of a corpus with an index no more documents are tokenized than hold so many
 * @throws bad-input where the tokenizer has no template for a conversation, or one that cannot write it
 */
export async function openText(
  dataDir: string,
  { row, reading = tokenReadingOf(row) }: CorpusRead,
  tokenizer: Tokenizer,
  split: Split,
  progress?: Progress,
  tokens?: number,
): Promise<CorpusText> {
  const first = tokens !== undefined && row.index
  const opened = first
    ? await firstTokens(dataDir, row, tokenizer, split, tokens, reading.template)
    : await openTokens(dataDir, row, tokenizer, split, progress, reading.template)
  return textAs(opened, reading)
}

/** Tokens that are opened already, as a run reads them. */
export function textAs(opened: Omit<TokenFile, 'path'>, reading: TokenReading): CorpusText {
  const { ids, bytes, bos, assistant, begins } = opened
  return {
    ids,
    bytes,
    bos,
    ...(reading.loss === 'assistant' && assistant && { mask: assistant }),
    ...(reading.packing !== 'windows' && { documents: documentBounds(ids, bos, begins) }),
  }
}

/**
 * Where documents begin and end: [begin, end, begin, end, ...].
 *
 * @param begins of conversations, the first tokens of their renderings; of text documents begin with BOS
 */
export function documentBounds(ids: TokenIds, bos: number, begins: Int32Array | undefined): Int32Array {
  const starts = begins ?? placesOf(ids, bos)
  // A BOS that no template wrote stands before each, and belongs to none.
  const gap = starts[0] ?? 0
  const bounds = new Int32Array(2 * starts.length)
  for (const [i, start] of starts.entries())
    bounds.set([start, i + 1 < starts.length ? starts[i + 1]! - gap : ids.length], 2 * i)
  return bounds
}

/** Where a token stands. */
export function placesOf(ids: TokenIds, token: number): Int32Array {
  const found = places()
  for (const [part, at] of chunksOf(ids, ids.length))
    for (let i = 0; i < part.length; i++) if (part[i] === token) found.push(at + i)
  return found.all.slice()
}
