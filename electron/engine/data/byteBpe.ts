import { badInput } from '#contract'
import { createMerger, remembered, type Merge } from './bpe'
import { bytesToCharacters, charactersToBytes, NO_BYTES } from './bytes'
import type { TextTokenizer } from './textTokenizer'

/** GPT-2's pre-tokenisation: contractions, words with their leading space, numbers, other marks, spaces. */
export const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** Begins every document and ends it. */
export const BOUNDARY = '<|endoftext|>'

/** A byte-level BPE: what `tokenizer.json` of our own making says. */
export interface ByteBpe {
  /** Piece (in GPT-2's alphabet) to id. */
  vocab: ReadonlyMap<string, number>
  /** In order of rank. */
  merges: readonly (readonly [string, string])[]
}

/** The `tokenizer.json` of a byte-level BPE, readable by Hugging Face's tokenizers. */
export function toTokenizerJson({ vocab, merges }: ByteBpe): unknown {
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: vocab.get(BOUNDARY), content: BOUNDARY, ...special }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  }
}

/** Encodes and decodes; exact on any text. */
export function createByteBpe({ vocab, merges }: ByteBpe, file: string): TextTokenizer {
  const bos = vocab.get(BOUNDARY)
  if (bos === undefined) throw badInput(`the vocabulary has no ${BOUNDARY}`, { file })
  const size = vocab.size
  const refuse = (what: string) => badInput(what, { file, expected: 'a byte-level BPE' })
  const idOf = (piece: string): number => {
    const id = vocab.get(piece)
    if (id === undefined || id >= size)
      throw refuse(`the vocabulary has no "${piece}" with an id below ${size}`)
    return id
  }
  const pieces: Uint8Array[] = []
  for (const [piece, id] of vocab) {
    const bytes = id === bos ? NO_BYTES : charactersToBytes(piece)
    if (!bytes || pieces[idOf(piece)]) throw refuse(`the piece "${piece}" stands for no bytes of its own`)
    pieces[id] = bytes
  }
  const byteIds = Array.from({ length: 256 }, (_, byte) => idOf(bytesToCharacters(Uint8Array.of(byte))))
  const merge = createMerger(
    size,
    merges.map(([left, right]): Merge => [idOf(left), idOf(right), idOf(left + right)]),
  )
  const encoder = new TextEncoder()

  const encodeWord = remembered((word) => merge(Array.from(encoder.encode(word), (byte) => byteIds[byte]!)))

  return {
    vocab: size,
    bos,
    ends: [bos],
    encode(text) {
      const ids: number[] = []
      for (const word of text.match(WORDS) ?? []) for (const id of encodeWord(word)) ids.push(id)
      return Int32Array.from(ids)
    },
    decode(ids) {
      return Buffer.concat(Array.from(ids, (id) => pieces[id] ?? NO_BYTES)).toString('utf8')
    },
    piece: (id) => pieces[id] ?? NO_BYTES,
    special: (id) => (id === bos ? BOUNDARY : undefined),
  }
}
