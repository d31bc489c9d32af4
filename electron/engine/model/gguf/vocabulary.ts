import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { badInput, parse, type Tokenizer } from '#contract'
import { readLlama2cPieces } from '../../data/llama2cTokenizer'
import type { Metadata } from './format'
import { byteLevelPre, spacePrefix, type Pipeline } from './preTokenizer'

/** llama.cpp's kinds of tokens. */
const KINDS = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const
const BYTE = /^<0x[0-9A-F]{2}>$/

interface Token {
  text: string
  kind: keyof typeof KINDS
  /** Of a piece of SentencePiece's: the highest is merged first. */
  score?: number
}

interface Vocabulary {
  model: 'gpt2' | 'llama'
  tokens: Token[]
  merges?: string[]
  pre: string
  spacePrefix?: boolean
  unknown?: number
  warnings: string[]
}

/**
 * A tokenizer as llama.cpp reads it.
 *
 * @param rows tokens that the model has: those beyond the tokenizer's are said to be unused
 * @param special the ids that begin a document and end one
 * @throws bad-input where llama.cpp has no tokenizer of that kind
 */
export function vocabularyMetadata(
  file: string,
  kind: Tokenizer['kind'],
  rows: number,
  special: { bos: number; eos: number; chatTemplate?: string },
): { metadata: Metadata; warnings: string[] } {
  const bytes = readFileSync(file)
  const vocabulary = kind === 'llama2c' ? ofLlama2c(bytes, file) : ofTokenizerJson(bytes, file)
  const { model, tokens, merges, pre, unknown, warnings } = vocabulary
  for (let id = 0; id < rows; id++) tokens[id] ??= { text: `[PAD${id}]`, kind: 'unused' }
  const metadata: Metadata = new Map()
  const set = (key: string, value: Metadata extends Map<string, infer V> ? V : never) =>
    metadata.set(`tokenizer.ggml.${key}`, value)
  set('model', { type: 'string', value: model })
  set('pre', { type: 'string', value: pre })
  set('tokens', { type: 'string', value: tokens.map(({ text }) => text) })
  set('token_type', { type: 'int32', value: tokens.map((token) => KINDS[token.kind]) })
  if (model === 'llama') set('scores', { type: 'float32', value: tokens.map(({ score }) => score ?? 0) })
  if (merges) set('merges', { type: 'string', value: merges })
  set('bos_token_id', { type: 'uint32', value: special.bos })
  set('eos_token_id', { type: 'uint32', value: special.eos })
  if (unknown !== undefined) set('unknown_token_id', { type: 'uint32', value: unknown })
  // Every document that the model has read began with it.
  set('add_bos_token', { type: 'bool', value: true })
  set('add_eos_token', { type: 'bool', value: false })
  if (vocabulary.spacePrefix !== undefined)
    set('add_space_prefix', { type: 'bool', value: vocabulary.spacePrefix })
  if (special.chatTemplate !== undefined)
    metadata.set('tokenizer.chat_template', { type: 'string', value: special.chatTemplate })
  return { metadata, warnings }
}

/** Pieces 0 to 2 are for what is not known, the beginning and the end; then the bytes, then text by its score. */
function ofLlama2c(bytes: Buffer, file: string): Vocabulary {
  const seen = new Set<string>()
  const tokens = readLlama2cPieces(bytes, file).map(({ bytes, score }, id): Token => {
    if (id < 3) return { text: ['<unk>', '<s>', '</s>'][id]!, kind: id ? 'control' : 'unknown' }
    if (id < 259) {
      const byte = (id - 3).toString(16).toUpperCase().padStart(2, '0')
      return { text: `<0x${byte}>`, kind: 'byte' }
    }
    const text = bytes.toString('utf8').replaceAll(' ', '▁')
    if (seen.has(text) || text.includes('\ufffd'))
      throw badInput(`piece ${id} is the text of another one, or none that is UTF-8`, {
        file,
        expected: 'pieces that llama.cpp can tell apart; or --format onnx',
      })
    seen.add(text)
    return { text, kind: 'normal', score }
  })
  return { model: 'llama', tokens, pre: 'default', spacePrefix: true, unknown: 0, warnings: [] }
}

const tokenizerJson = z.object({
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  decoder: z.unknown().optional(),
  added_tokens: z
    .array(
      z.object({
        id: z.number().int().nonnegative(),
        content: z.string(),
        special: z.boolean().default(true),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
      }),
    )
    .default([]),
  model: z.object({
    type: z.string().optional(),
    byte_fallback: z.boolean().optional(),
    ignore_merges: z.boolean().optional(),
    unk_token: z.string().nullish(),
    vocab: z.unknown().optional(),
    merges: z.unknown().optional(),
  }),
})
const pieces = z.record(z.string(), z.number().int().nonnegative())
/** Old files have both in one text. */
const pairs = z.array(z.union([z.tuple([z.string(), z.string()]), z.string()]))

function ofTokenizerJson(bytes: Buffer, file: string): Vocabulary {
  const json = parse(tokenizerJson, JSON.parse(bytes.toString('utf8')), file)
  const { model } = json
  if (model.type !== undefined && model.type !== 'BPE')
    throw badInput(`llama.cpp’s tokenizers are BPE; this one is of the type ${model.type}`, {
      file,
      field: 'model.type',
      expected: '--format hf or onnx',
    })
  const vocab = parse(pieces, model.vocab, file)
  const merges = parse(pairs, model.merges, file).map((pair) =>
    typeof pair === 'string' ? (pair.split(' ') as [string, string]) : pair,
  )
  const pipeline: Pipeline = { ...json, ignoreMerges: model.ignore_merges ?? false, file }
  const byteFallback = model.byte_fallback ?? false
  const unknown = model.unk_token ? vocab[model.unk_token] : undefined
  const tokens: Token[] = []
  for (const [text, id] of Object.entries(vocab))
    tokens[id] = { text, kind: byteFallback && BYTE.test(text) ? 'byte' : 'normal' }
  for (const { id, content, special } of json.added_tokens)
    if (tokens[id]?.kind !== 'byte') tokens[id] = { text: content, kind: special ? 'control' : 'userDefined' }
  if (unknown !== undefined && tokens[unknown]) tokens[unknown]!.kind = 'unknown'
  for (let id = 0; id < tokens.length; id++) tokens[id] ??= { text: `[PAD${id}]`, kind: 'unused' }
  const warnings = json.added_tokens.some(({ lstrip, rstrip }) => lstrip || rstrip)
    ? ['llama.cpp keeps the spaces beside special tokens, which this tokenizer takes away']
    : []
  if (!byteFallback) {
    const joined = merges.map(([left, right]) => `${left} ${right}`)
    return { model: 'gpt2', tokens, merges: joined, pre: byteLevelPre(pipeline), unknown, warnings }
  }
  scored(tokens, merges)
  return {
    model: 'llama',
    tokens,
    pre: 'default',
    spacePrefix: spacePrefix(pipeline),
    unknown,
    warnings: [...warnings, ...otherMerges(tokens, merges)],
  }
}

/** llama.cpp merges the two neighbours whose union scores most: what is merged first gets the highest score. */
function scored(tokens: Token[], merges: readonly (readonly [string, string])[]): void {
  const ranks = new Map<string, number>()
  for (const [rank, pair] of merges.entries()) {
    const text = pair.join('')
    if (!ranks.has(text)) ranks.set(text, rank)
  }
  for (const token of tokens)
    if (token.kind === 'normal') token.score = -(ranks.get(token.text) ?? merges.length)
}

/** It merges any two tokens whose union is one, also where the tokenizer has no such merge. */
function otherMerges(tokens: readonly Token[], merges: readonly (readonly [string, string])[]): string[] {
  const known = new Set(merges.map((pair) => JSON.stringify(pair)))
  const normal = new Set(tokens.filter(({ kind }) => kind === 'normal').map(({ text }) => text))
  let others = 0
  for (const text of normal) {
    const letters = [...text]
    for (let i = 1; i < letters.length; i++) {
      const pair = [letters.slice(0, i).join(''), letters.slice(i).join('')]
      if (normal.has(pair[0]!) && normal.has(pair[1]!) && !known.has(JSON.stringify(pair))) others++
    }
  }
  if (!others) return []
  return [
    `llama.cpp may cut some texts into other tokens than the tokenizer does: it merges ${others} pairs that this one does not`,
  ]
}
