import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { isRecord } from '#contract'
import { encoderOfFile } from './bpeFile'
import { openTokenizer } from './tokenizer'

const shared = resolve(import.meta.dirname, '../../../../shared/data')
const hasShared = existsSync(join(shared, 'tokenizers'))
if (!hasShared) console.warn('SKIPPED: tokens of fuzzed texts need ../shared/data')
const folder = mkdtempSync(join(tmpdir(), 'retort-fuzzed-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What Hugging Face's tokenizers says (fixtures/fuzzed.py): of each text the beginning of the SHA-256 of its ids. */
interface Fixture {
  texts: string[]
  cases: { name: string; path: string; changes: Record<string, unknown>; ids: string }[]
}
const DIGITS = 8
const fixture = process.env.RETORT_FUZZED ?? join(import.meta.dirname, 'fixtures', 'fuzzed.json')
const { texts, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as Fixture

function fileOf({ path, changes }: Fixture['cases'][number]): Record<string, unknown> {
  const file = JSON.parse(readFileSync(join(shared, path), 'utf8')) as Record<string, unknown>
  for (const [key, value] of Object.entries(changes))
    file[key] = key === 'model' && isRecord(value) ? { ...(file[key] as object), ...value } : value
  return file
}

describe.skipIf(!hasShared).each(cases)('texts of all scripts: $name', (one) => {
  it("have the ids of Hugging Face's library, by an encoder of ours", () => {
    const file = join(folder, 'tokenizer.json')
    const json = fileOf(one)
    expect(encoderOfFile(json)).toBeDefined()
    writeFileSync(file, JSON.stringify(json))
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: firstPiece(json) }))
    const { encode } = openTokenizer(file, 'huggingface')
    const wrong = texts.filter((text, i) => {
      const digest = createHash('sha256').update(encode(text).join()).digest('hex')
      return digest.slice(0, DIGITS) !== one.ids.slice(i * DIGITS, (i + 1) * DIGITS)
    })
    expect(wrong).toEqual([])
  })
})

it.skipIf(!hasShared)("GPT-2's words have the ids that were published", () => {
  const read = (name: string) => readFileSync(join(shared, 'tokenizers', 'gpt2', name), 'utf8')
  const level = { type: 'ByteLevel', add_prefix_space: false, use_regex: true }
  const merges = read('vocab.bpe').split('\n').slice(1).filter(Boolean)
  const encode = encoderOfFile({
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: level,
    model: { type: 'BPE', vocab: JSON.parse(read('encoder.json')) as object, merges },
  })!
  const { cases } = JSON.parse(read('reference-vectors.json')) as { cases: { text: string; ids: number[] }[] }
  expect(cases.length).toBeGreaterThan(10)
  for (const { text, ids } of cases) expect([...encode(text)], text).toEqual(ids)
})

/** What another library does is left to it: white space around added tokens, other words, unknown characters. */
it.each([
  [
    'white space that a token takes',
    { added_tokens: [{ id: 0, content: '<a>', normalized: false, lstrip: true }] },
  ],
  ['another cut', { pre_tokenizer: { type: 'Whitespace' } }],
  [
    'a space before the text',
    { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } },
  ],
  ['another normal form', { normalizer: { type: 'NFKC' } }],
  ['dropout', { model: { dropout: 0.1 } }],
  ['ends of words', { model: { end_of_word_suffix: '</w>' } }],
  ['another model', { model: { type: 'WordPiece' } }],
  ['a merge of no piece', { model: { merges: [['a', 'b']] } }],
  ['a token for what is unknown', { model: { unk_token: 'a' } }],
])(
  'is not read by the encoder of ours with %s',
  (_, changes: { model?: object; [step: string]: unknown }) => {
    const json = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      ...changes,
      model: { type: 'BPE', vocab: { a: 0 }, merges: [], ...changes.model },
    }
    expect(encoderOfFile(json)).toBeUndefined()
    expect(encoderOfFile({ ...json, ...plain, model: { ...json.model, ...plain.model } })).toBeDefined()
  },
)

const plain = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  model: { type: 'BPE', merges: [], dropout: null, end_of_word_suffix: null, unk_token: null },
}

/** Any piece: what stands before documents does not matter here. */
const firstPiece = ({ model }: Record<string, unknown>) =>
  Object.keys((model as { vocab: Record<string, number> }).vocab)[0]
