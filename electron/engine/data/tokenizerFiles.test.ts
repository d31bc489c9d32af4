import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BOUNDARY, toTokenizerJson } from './byteBpe'
import { bytesToCharacters } from './bytes'
import { openTokenizer } from './tokenizer'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const alphabet = Array.from({ length: 256 }, (_, byte) => bytesToCharacters(Uint8Array.of(byte)))
const ids = () => new Map([BOUNDARY, ...alphabet].map((piece, id) => [piece, id]))

/** Opens the file that this says. */
function open(kind: 'bpe' | 'huggingface', json: unknown) {
  const file = join(folder, 'tokenizer.json')
  writeFileSync(file, JSON.stringify(json))
  return openTokenizer(file, kind)
}

describe('a tokenizer.json whose ids are not those of its tokens', () => {
  it('has an id of billions: refused before anybody asks for all of them', () => {
    for (const kind of ['bpe', 'huggingface'] as const) {
      const json = toTokenizerJson({ vocab: ids().set('th', 2 ** 40), merges: [] })
      expect(() => open(kind, json)).toThrow(
        /tokenizer\.json: model\.vocab: an id is 1099511627776, of \d+ tokens/,
      )
    }
  })

  it('lacks a byte, has one id twice, merges what is no token, or has a piece of no bytes', () => {
    const without = ids()
    without.delete('a')
    expect(() => open('bpe', toTokenizerJson({ vocab: without, merges: [] }))).toThrow(
      /no .* with an id below/,
    )
    const twice = ids().set('th', 5)
    expect(() => open('bpe', toTokenizerJson({ vocab: twice, merges: [] }))).toThrow(/no bytes of its own/)
    expect(() => open('bpe', toTokenizerJson({ vocab: ids(), merges: [['t', 'h']] }))).toThrow(/has no "th"/)
    expect(() => open('bpe', toTokenizerJson({ vocab: ids().set('日', 257), merges: [] }))).toThrow(
      /no bytes/,
    )
    expect(open('bpe', toTokenizerJson({ vocab: ids(), merges: [] })).encode('a')).toHaveLength(1)
  })

  it('adds a token whose id another has, or that has another id in the vocabulary: transformers would give it a new one', () => {
    const json = toTokenizerJson({ vocab: ids(), merges: [] }) as { added_tokens: object[] }
    const more = (id: number, content: string) => {
      const added = { id, content, special: true, single_word: false, lstrip: false, rstrip: false }
      return { ...json, added_tokens: [...json.added_tokens, { ...added, normalized: false }] }
    }
    const [a] = [ids().get('a')!]
    expect(() => open('huggingface', more(a, '<new>'))).toThrow(
      `added_tokens.1.id: the id ${a} of "<new>" is that of "a"; expected an id that no other token has`,
    )
    expect(() => open('huggingface', more(300, 'a'))).toThrow(
      `added_tokens.1.id: the id 300 of "a" is not its id in the vocabulary; expected ${a}`,
    )
    expect(open('huggingface', more(a, 'a')).vocab).toBe(257)
    expect(open('huggingface', more(260, '<new>')).vocab).toBe(261)
  })
})

it.each([
  [[], 'model.vocab.1'],
  [[7, -1], 'model.vocab.1.0'],
  [['b', 'likely'], 'model.vocab.1.1'],
])('a piece of Unigram that is %j is refused where it stands', (entry, field) => {
  const model = { type: 'Unigram', unk_id: 0, vocab: [['<unk>', 0], entry] }
  expect(() => open('huggingface', { model, added_tokens: [], decoder: null })).toThrow(field)
})

it.each(['bpe', 'huggingface'] as const)('a tokenizer (%s) makes no text of no tokens', (kind) => {
  const tokenizer = open(kind, toTokenizerJson({ vocab: ids(), merges: [] }))
  expect(tokenizer.decode([])).toBe('')
  expect(tokenizer.decode(tokenizer.encode(''))).toBe('')
})

describe('what stands around a text', () => {
  const bytes = new Map(alphabet.map((piece, id) => [piece, id]))
  const special = (content: string, id: number) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })
  const plain = toTokenizerJson({ vocab: ids(), merges: [] }) as Record<string, object>
  /** A tokenizer whose own tokens are bytes, with these added behind them, from 256 on. */
  const withAdded = (names: string[], more: object = {}) => ({
    ...plain,
    model: { ...plain['model'], vocab: Object.fromEntries(bytes) },
    added_tokens: names.map((name, i) => special(name, 256 + i)),
    ...more,
  })
  const template = (name: string) => ({
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: name, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: { [name]: { id: name, ids: [257], tokens: [name] } },
  })
  const openBeside = (json: unknown, files: Record<string, unknown>) => {
    const own = mkdtempSync(join(folder, 'beside-'))
    for (const [name, content] of Object.entries({ ...files, 'tokenizer.json': json }))
      writeFileSync(join(own, name), JSON.stringify(content))
    const { bos, ends } = openTokenizer(join(own, 'tokenizer.json'), 'huggingface')
    return { bos, ends }
  }

  it('is what the settings beside say, whatever name it has, and whatever other name is there', () => {
    // OPT begins with what others end with; DeepSeek's names are its own.
    const opt = { bos_token: '</s>', eos_token: '</s>' }
    const json = withAdded(['<s>', '<pad>', '</s>'])
    expect(openBeside(json, { 'tokenizer_config.json': opt })).toEqual({ bos: 258, ends: [258] })
    const [begin, end] = ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>']
    const own = { bos_token: { content: begin, lstrip: false }, eos_token: end }
    expect(openBeside(withAdded([end, '<s>', begin]), { 'tokenizer_config.json': own })).toEqual({
      bos: 258,
      ends: [258, 256],
    })
  })

  it('is what the file itself puts before a text, alone or among other steps', () => {
    const step = template('<start>')
    for (const post_processor of [
      step,
      { type: 'Sequence', processors: [{ type: 'ByteLevel', trim_offsets: false }, step] },
    ])
      expect(openBeside(withAdded(['<s>', '<start>'], { post_processor }), {}).bos).toBe(257)
    // Settings come first: they are what transformers puts there.
    const settings = { 'tokenizer_config.json': { bos_token: '<s>' } }
    expect(openBeside(withAdded(['<s>', '<start>'], { post_processor: step }), settings).bos).toBe(256)
  })

  it('is one of the families’ names where nothing says it, and refused where there is none', () => {
    const qwen = withAdded(['<|im_start|>', '<|endoftext|>', '<|im_end|>'])
    const settings = { 'tokenizer_config.json': { bos_token: null, eos_token: '<|im_end|>' } }
    expect(openBeside(qwen, settings)).toEqual({ bos: 257, ends: [257, 258] })
    expect(() => openBeside(withAdded(['<pad>', '<mask>']), {})).toThrow(
      /tokenizer\.json: added_tokens: nothing says which token stands before a document; expected bos_token/,
    )
  })

  it('ends with every token that the model’s own settings call an end, of those that there are', () => {
    const json = withAdded(['<bos>', '<eos>', '<end_of_turn>'])
    const files = {
      'tokenizer_config.json': { bos_token: '<bos>', eos_token: '<eos>' },
      'generation_config.json': { eos_token_id: [257, 258, 9999], do_sample: true },
    }
    expect(openBeside(json, files)).toEqual({ bos: 256, ends: [256, 257, 258] })
    const single = { ...files, 'generation_config.json': { eos_token_id: 258 } }
    expect(openBeside(json, single).ends).toEqual([256, 257, 258])
    const wrong = { 'generation_config.json': { eos_token_id: 'x' } }
    expect(() => openBeside(json, wrong)).toThrow(/generation_config\.json: eos_token_id/)
  })
})

describe('a tokenizer.json with a step that looks for a pattern', () => {
  const whole = toTokenizerJson({ vocab: ids(), merges: [] }) as Record<string, unknown>
  const sequence = (inside: string, steps: unknown[]) => ({ type: 'Sequence', [inside]: steps })
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }

  it('is refused by its place where that is none: without it the tokens would be others', () => {
    const none = [
      undefined,
      null,
      {},
      { Stringx: ' ' },
      { String: 4 },
      'a b',
      ['String'],
      { __proto__: null },
    ]
    for (const pattern of none) {
      const replace = { type: 'Replace', pattern, content: ' ' }
      expect(() => open('huggingface', { ...whole, normalizer: replace })).toThrow(
        /normalizer\.pattern: a step "Replace" has no pattern/,
      )
      const decoder = sequence('decoders', [strip, sequence('decoders', [replace])])
      expect(() => open('huggingface', { ...whole, decoder })).toThrow(
        /decoder\.decoders\.0\.pattern: a step "Replace"/,
      )
      const split = { type: 'Split', pattern, behavior: 'Isolated', invert: false }
      const before = sequence('pretokenizers', [split])
      expect(() => open('huggingface', { ...whole, pre_tokenizer: before })).toThrow(
        /pre_tokenizer\.pretokenizers\.0\.pattern: a step "Split"/,
      )
    }
  })

  it('opens with a text or a regular expression', () => {
    for (const pattern of [{ String: 'b' }, { Regex: 'b+' }]) {
      const normalizer = sequence('normalizers', [{ type: 'Replace', pattern, content: 'a' }])
      const made = open('huggingface', { ...whole, normalizer })
      expect(made.encode('ab')).toEqual(made.encode('aa'))
    }
  })
})
