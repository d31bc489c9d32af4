import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { z } from 'zod'
import { badInput, failed, parse, type Tokenizer } from '#contract'
import { checkNesting, sha256File, tryJson } from '../../files'
import { boundariesOf } from './boundaries'
import { createByteBpe } from './byteBpe'
import { encoderOfFile } from './bpeFile'
import { charactersToBytes, NO_BYTES } from './bytes'
import { createLlama2cTokenizer, readLlama2cPieces } from './llama2cTokenizer'
import type { TextTokenizer } from './textTokenizer'
import { checkPatterns } from './tokenizerPatterns'
import { readTokenizerSettings } from './tokenizerSettings'

/** SHA-256 of which bytes each id stands for, and which id stands before documents. */
export function piecesDigest({ vocab, bos, piece }: TextTokenizer): string {
  const hash = createHash('sha256').update(`${vocab} ${bos}`)
  for (let id = 0; id < vocab; id++) {
    const bytes = piece(id)
    hash.update(`;${bytes.length};`).update(bytes)
  }
  return hash.digest('hex')
}

export function tokenizerFile(dataDir: string, row: Pick<Tokenizer, 'id' | 'kind'>): string {
  const name = row.kind === 'llama2c' ? 'tokenizer.bin' : 'tokenizer.json'
  return join(dataDir, 'library', 'tokenizers', row.id, name)
}

/**
 * Opens a tokenizer of the library.
 *
 * @throws failed when it is not the one that joined it
 */
export async function loadTokenizer(
  dataDir: string,
  row: Pick<Tokenizer, 'id' | 'kind' | 'name' | 'digest'>,
): Promise<TextTokenizer> {
  const file = tokenizerFile(dataDir, row)
  if ((await sha256File(file)) !== row.digest)
    throw failed(`tokenizer "${row.name}" has changed since it joined the library (${file}); import it again`)
  return openTokenizer(file, row.kind)
}

/** @throws bad-input when the file is not a tokenizer of that kind */
export function openTokenizer(file: string, kind: Tokenizer['kind']): TextTokenizer {
  const bytes = readFileSync(file)
  if (kind === 'llama2c') return createLlama2cTokenizer(readLlama2cPieces(bytes, file))
  const json = parseJson(bytes, file)
  return kind === 'bpe' ? openByteBpe(json, file) : openHuggingFace(json, file)
}

function parseJson(bytes: Buffer, file: string): unknown {
  const text = bytes.toString('utf8')
  const value = tryJson(text)
  if (value === undefined) {
    throw badInput('the file is neither JSON nor a tokenizer of llama2.c', {
      file,
      expected: 'a tokenizer.json',
    })
  }
  checkNesting(text, file)
  return value
}

const bpeModel = z.object({
  model: z.object({
    type: z.literal('BPE'),
    vocab: z.record(z.string(), z.number().int().nonnegative()),
    merges: z.array(z.tuple([z.string(), z.string()])),
  }),
})

function openByteBpe(json: unknown, file: string): TextTokenizer {
  const { model } = parse(bpeModel, json, file)
  checkIds(Object.values(model.vocab), file)
  return createByteBpe({ vocab: new Map(Object.entries(model.vocab)), merges: model.merges }, file)
}

const tokenId = z.number().int().nonnegative()
const anyTokenizer = z.object({
  // Ids by piece, or Unigram's pieces with their scores in the ids' order.
  model: z.object({
    vocab: z.union([z.record(z.string(), tokenId), z.array(z.tuple([z.string(), z.number()]))]),
  }),
  added_tokens: z
    .array(z.object({ id: tokenId, content: z.string(), special: z.boolean().default(true) }))
    .default([]),
  decoder: z.unknown(),
})

/** Ids that no token has, at most: some files leave out a few, or fill up to a round number. */
const MOST_GAPS = 2 ** 16

/**
 * How many ids there are, the largest told. What is said of them is held against how many tokens there are: whoever asks
 * for every id would ask for billions.
 */
function checkIds(ids: readonly number[], file: string): number {
  const vocab = 1 + ids.reduce((a, b) => Math.max(a, b), 0)
  if (vocab <= 2 * ids.length + MOST_GAPS) return vocab
  throw badInput(`an id is ${vocab - 1}, of ${ids.length} tokens`, {
    file,
    field: 'model.vocab',
    expected: 'ids without large gaps',
  })
}

/** The id of each piece of the vocabulary, by its text. */
function piecesByText({ vocab }: z.output<typeof anyTokenizer>['model']): Map<string, number> {
  if (!Array.isArray(vocab)) return new Map(Object.entries(vocab))
  return new Map(vocab.map(([piece], id) => [piece, id]))
}

/** An added token that is of the vocabulary too has its id there: tools that read it otherwise would make other ids. */
function checkAdded(
  own: ReadonlyMap<string, number>,
  added: z.output<typeof anyTokenizer>['added_tokens'],
  file: string,
): void {
  const texts = new Map([...own].map(([text, id]) => [id, text]))
  for (const [i, { id, content }] of added.entries()) {
    const [known, holder] = [own.get(content) ?? id, texts.get(id) ?? content]
    if (known === id && holder === content) continue
    const what = known === id ? `is that of ${JSON.stringify(holder)}` : `is not its id in the vocabulary`
    throw badInput(`the id ${id} of ${JSON.stringify(content)} ${what}`, {
      file,
      field: `added_tokens.${i}.id`,
      expected: known === id ? 'an id that no other token has' : String(known),
    })
  }
}

/** Does what only that library can say is wrong; its slips over a file are no words for a person. */
function guarded<T>(file: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    const known =
      error instanceof Error && error.constructor === Error && !/undefined|\[object/.test(error.message)
    throw badInput(`the tokenizer cannot be used${known ? ` (${error.message})` : ''}`, {
      file,
      expected: 'a Hugging Face tokenizer.json',
    })
  }
}

function openHuggingFace(json: unknown, file: string): TextTokenizer {
  const parsed = parse(anyTokenizer, json, file)
  const { model, added_tokens: added } = parsed
  const own = piecesByText(model)
  const vocab = checkIds([...own.values(), ...added.map(({ id }) => id)], file)
  checkAdded(own, added, file)
  for (const { content, id } of added) own.set(content, id)
  checkPatterns(json as Record<string, unknown>, file)
  const tokenizer = guarded(file, () => new HuggingFaceTokenizer(json as object, {}))
  const encode = encoderOfFile(json)
  let pieces: Map<number, Uint8Array> | undefined
  return {
    vocab,
    ...boundariesOf(json, own, readTokenizerSettings(file), file),
    encode:
      encode ??
      ((text) =>
        guarded(file, () => Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids))),
    decode: (tokens) =>
      // The library refuses no tokens at all, which are no text: an empty prompt, or a writing that ends at once.
      tokens.length === 0
        ? ''
        : guarded(file, () =>
            tokenizer.decode(Array.from(tokens), {
              skip_special_tokens: true,
              clean_up_tokenization_spaces: false,
            }),
          ),
    piece: (id) => (pieces ??= piecesOf(parsed)).get(id) ?? NO_BYTES,
    special: (id) => added.find((one) => one.special && one.id === id)?.content,
  }
}

/**
 * The bytes of each token: of GPT-2's alphabet where the decoder is byte-level, else text whose spaces are written as
 * low lines, with `<0x0A>` for a single byte (SentencePiece).
 */
function piecesOf({
  model,
  added_tokens: added,
  decoder,
}: z.output<typeof anyTokenizer>): Map<number, Uint8Array> {
  const byteLevel = JSON.stringify(decoder ?? null).includes('"ByteLevel"')
  const encoder = new TextEncoder()
  const bytesOf = (piece: string): Uint8Array => {
    if (byteLevel) return charactersToBytes(piece) ?? NO_BYTES
    const single = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)
    return single ? Uint8Array.of(parseInt(single[1]!, 16)) : encoder.encode(piece.replaceAll('▁', ' '))
  }
  const pieces = new Map([...piecesByText(model)].map(([piece, id]) => [id, bytesOf(piece)]))
  for (const { id, content, special } of added) pieces.set(id, special ? NO_BYTES : encoder.encode(content))
  return pieces
}
