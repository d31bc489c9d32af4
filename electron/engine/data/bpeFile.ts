import { z } from 'zod'
import { createMerger, remembered, type Merge } from './bpe'
import { bytesToCharacters } from './bytes'
import { composed } from './nfc'

/** What a part of a text becomes. */
type Encode = (text: string, ids: number[]) => void
type Cut = (text: string) => readonly string[]

const addedToken = z.object({
  id: z.number(),
  content: z.string().min(1),
  normalized: z.boolean(),
  // What white space around it, or letters beside it, mean.
  lstrip: z.literal(false),
  rstrip: z.literal(false),
  single_word: z.literal(false),
})
const nothing = z.literal('').nullish()
const regex = (source: string) => z.object({ Regex: z.literal(source) })

/** GPT-2's words, and how Llama 3's and Qwen's differ; Oniguruma's white space is Unicode's, which JavaScript's is not. */
const WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu
const later = (digits: string) =>
  new RegExp(
    `'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+`,
    'gu',
  )
const laterSource = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

const matches =
  (pattern: RegExp): Cut =>
  (text) =>
    text.match(pattern) ?? []
const split = (source: string, cut: Cut) =>
  z
    .object({
      type: z.literal('Split'),
      pattern: regex(source),
      behavior: z.literal('Isolated'),
      invert: z.literal(false),
    })
    .transform(() => cut)
const byteLevel = (words: boolean, cut: Cut) =>
  z
    .object({ type: z.literal('ByteLevel'), add_prefix_space: z.literal(false), use_regex: z.literal(words) })
    .transform(() => cut)
const gpt2 = byteLevel(true, matches(WORDS))
/** The steps that cut a text into words, all before the bytes of each are looked up; of a sequence the last is those. */
const cutting = z.union([
  split(laterSource('\\p{N}'), matches(later('\\p{N}'))),
  split(laterSource('\\p{N}{1,3}'), matches(later('\\p{N}{1,3}'))),
  z
    .object({ type: z.literal('Digits'), individual_digits: z.literal(true) })
    .transform((): Cut => matches(/\p{N}|\P{N}+/gu)),
])
const bytesOfWords = z.union([gpt2, byteLevel(false, (text) => [text])])
const byteLevelCuts = z.union([
  gpt2.transform((cut) => [cut]),
  z
    .object({ type: z.literal('Sequence'), pretokenizers: z.array(z.unknown()).min(1) })
    .transform(({ pretokenizers }, context) => {
      const steps = [
        ...pretokenizers.slice(0, -1).map((step) => cutting.safeParse(step).data),
        bytesOfWords.safeParse(pretokenizers.at(-1)).data,
      ]
      if (steps.every((step) => step !== undefined)) return steps
      context.addIssue('another step')
      return z.NEVER
    }),
])

const lowLines = z.object({
  type: z.literal('Replace'),
  pattern: z.object({ String: z.literal(' ') }),
  content: z.literal('▁'),
})
const asLowLines = (text: string) => text.replaceAll(' ', '▁')
/** SentencePiece's spaces, with one before the text or none. */
const spaces = z.union([
  lowLines.transform(() => asLowLines),
  z
    .object({
      type: z.literal('Sequence'),
      normalizers: z.tuple([z.object({ type: z.literal('Prepend'), prepend: z.literal('▁') }), lowLines]),
    })
    .transform(() => (text: string) => text && `▁${asLowLines(text)}`),
])

const model = z.object({
  type: z.literal('BPE'),
  vocab: z.record(z.string(), z.number()),
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  dropout: nothing,
  continuing_subword_prefix: nothing,
  end_of_word_suffix: nothing,
  unk_token: z.string().nullish(),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().nullish(),
})
const bytesFile = z.object({
  added_tokens: z.array(addedToken),
  normalizer: z
    .union([z.null(), z.object({ type: z.literal('NFC') })])
    .transform((own) => (text: string) => (own ? composed(text) : text)),
  pre_tokenizer: byteLevelCuts,
  model: model.extend({ byte_fallback: z.literal(false).default(false) }),
})
const charactersFile = z.object({
  added_tokens: z.array(addedToken.extend({ normalized: z.literal(false) })),
  normalizer: spaces,
  // Cuts at spaces, of which none are left.
  pre_tokenizer: z.union([
    z.null(),
    z.object({ type: z.literal('Split'), pattern: z.object({ String: z.literal(' ') }) }),
  ]),
  model: model.extend({ byte_fallback: z.literal(true) }),
})

/**
 * Encodes as the file of a BPE says, the ids being those of Hugging Face's own library: byte-level with the words of
 * GPT-2, Llama 3 or Qwen, or of characters that fall back to bytes, as SentencePiece's. Undefined of a file that asks
 * for anything else.
 */
export function encoderOfFile(json: unknown): ((text: string) => Int32Array) | undefined {
  const file = bytesFile.safeParse(json).data
  const other = file ? undefined : charactersFile.safeParse(json).data
  const known = file ?? other
  if (!known) return undefined
  const pieces = new Map(Object.entries(known.model.vocab))
  const merge = mergerOf(pieces, known.model.merges)
  const encode = merge && (file ? byBytes(file, pieces, merge) : byCharacters(other!, pieces, merge))
  if (!encode) return undefined
  const { normalizer, added_tokens: added } = known
  const inside = apart(
    added.filter(({ normalized }) => normalized).map((one) => ({ ...one, content: normalizer(one.content) })),
    encode,
  )
  const whole = apart(
    added.filter(({ normalized }) => !normalized),
    (text, ids) => inside(normalizer(text), ids),
  )
  return (text) => {
    const ids: number[] = []
    whole(text, ids)
    return Int32Array.from(ids)
  }
}

/** Tokens that are found in a text as they stand, of several at a place the longest; what is between them is encoded. */
function apart(tokens: readonly { id: number; content: string }[], encode: Encode): Encode {
  if (!tokens.length) return encode
  const ids = new Map(tokens.map(({ content, id }) => [content, id]))
  const longest = [...ids.keys()].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(
    longest.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
    'gu',
  )
  return (text, all) => {
    let end = 0
    for (const { 0: found, index } of text.matchAll(pattern)) {
      if (index > end) encode(text.slice(end, index), all)
      all.push(ids.get(found)!)
      end = index + found.length
    }
    if (end < text.length) encode(end ? text.slice(end) : text, all)
  }
}

type Model = z.output<typeof model>
/** The id of each piece of the vocabulary, by its text. */
type Pieces = ReadonlyMap<string, number>

/** Undefined where a merge is of what is no piece. */
function mergerOf(pieces: Pieces, merges: Model['merges']): ((ids: number[]) => number[]) | undefined {
  const size = 1 + [...pieces.values()].reduce((a, b) => Math.max(a, b), 0)
  const all: Merge[] = []
  for (const pair of merges) {
    const [left, right] = pairOf(pair)
    const merge = [pieces.get(left), pieces.get(right!), pieces.get(left + right)]
    if (!merge.every((id) => id !== undefined)) return undefined
    all.push(merge as unknown as Merge)
  }
  return createMerger(size, all)
}

const pairOf = (merge: string | readonly [string, string]) =>
  (typeof merge === 'string' ? merge.split(' ') : merge) as [string, string]

/** Undefined where a byte that texts have is of no piece, and another token stands for it. */
function byBytes(
  { pre_tokenizer: cuts, model }: z.output<typeof bytesFile>,
  pieces: Pieces,
  merge: (ids: number[]) => number[],
): Encode | undefined {
  const bytes = Array.from({ length: 256 }, (_, byte) => pieces.get(bytesToCharacters(Uint8Array.of(byte))))
  if (typeof model.unk_token === 'string' && bytes.includes(undefined)) return undefined
  const encoder = new TextEncoder()
  const encodeWord = remembered((word) => {
    const own = encoder.encode(word)
    const whole = model.ignore_merges ? pieces.get(bytesToCharacters(own)) : undefined
    if (whole !== undefined) return [whole]
    const ids: number[] = []
    for (const byte of own) if (bytes[byte] !== undefined) ids.push(bytes[byte])
    return merge(ids)
  })
  const [first, ...rest] = cuts
  return (text, all) => {
    const words = rest.reduce((words, cut) => words.flatMap((word) => [...cut(word)]), [...first!(text)])
    for (const word of words) for (const id of encodeWord(word)) all.push(id)
  }
}

/** Undefined where a byte is of no piece. */
function byCharacters(
  { model }: z.output<typeof charactersFile>,
  pieces: Pieces,
  merge: (ids: number[]) => number[],
): Encode | undefined {
  const hex = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
  const bytes = Array.from({ length: 256 }, (_, byte) => pieces.get(hex(byte)))
  if (bytes.includes(undefined) || !pieces.has('▁')) return undefined
  const encoder = new TextEncoder()
  const encodeWord = remembered((word) => {
    if (model.ignore_merges && pieces.has(word)) return [pieces.get(word)!]
    const ids: number[] = []
    for (const character of word) {
      const id = pieces.get(character)
      if (id === undefined) for (const byte of encoder.encode(character)) ids.push(bytes[byte]!)
      else ids.push(id)
    }
    return merge(ids)
  })
  // Where no merge goes from a word into the next one's spaces, words are merged each by itself.
  const across = model.merges.some((pair) => {
    const [left, right] = pairOf(pair)
    return right.startsWith('▁') && !left.endsWith('▁')
  })
  const words = across || model.ignore_merges ? (text: string) => [text] : matches(/▁+[^▁]*|[^▁]+/gu)
  return (text, all) => {
    for (const word of words(text)) for (const id of encodeWord(word)) all.push(id)
  }
}
