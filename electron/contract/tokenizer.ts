import { z } from 'zod'
import { objectName } from './experiment'
import { digest, id, timestamp } from './library'

/** Pieces of a byte-level BPE that is trained here: at least the 256 bytes and what stands before documents. */
export const tokenizerVocab = z.number().int().min(257).max(262_144)

export const tokenizerKinds = ['bpe', 'huggingface', 'llama2c'] as const

/** A tokenizer of the library: `library/tokenizers/<id>/tokenizer.json` (or `tokenizer.bin` for llama2.c). */
export const tokenizer = z.strictObject({
  id,
  name: objectName,
  kind: z.enum(tokenizerKinds),
  vocab: z.number().int().positive(),
  digest,
  /** SHA-256 of which bytes each id stands for, and which stands before documents; rows of earlier versions lack it. */
  pieces: digest.optional(),
  /** SHA-256 of what lies beside its file: special tokens, ends, chat template; rows of earlier versions lack it. */
  settings: digest.optional(),
  /** Whether decode(encode(text)) gave back every sample text at import; a lossy one says so wherever it is used. */
  lossless: z.boolean(),
  createdAt: timestamp,
})
export type Tokenizer = z.output<typeof tokenizer>

/** What the tokens of a text are a function of: which bytes its ids stand for and how text is cut, and what stands before it. */
export const tokenizerDigest = ({ digest, pieces = '' }: Pick<Tokenizer, 'digest' | 'pieces'>): string =>
  `${digest}/${pieces}`

/** Whether one is the other, in all that a run, a chat and an export take from it. */
export const isSameTokenizer = (one: Tokenizer, other: Tokenizer): boolean =>
  one.digest === other.digest &&
  isSaidAlike(one.pieces, other.pieces) &&
  isSaidAlike(one.settings, other.settings)

const isSaidAlike = (one?: string, other?: string) =>
  one === undefined || other === undefined || one === other

/** Whether the same ids are the same bytes in both: then what models say of their ids compares. */
export function sharesVocabulary(one: Tokenizer, other: Tokenizer): boolean {
  return one.digest === other.digest || (one.pieces !== undefined && one.pieces === other.pieces)
}
