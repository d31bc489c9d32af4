import { describe, expect, it } from 'vitest'
import { bytesToCharacters } from '../../data/bytes'
import { inFolder } from './testing'

const { written } = inFolder()

describe('a tokenizer', () => {
  const json = (pre: unknown, model: Record<string, unknown> = {}) => {
    const vocab = Object.fromEntries(
      Array.from({ length: 256 }, (_, b) => [bytesToCharacters(Uint8Array.of(b)), b + 1] as const),
    )
    return {
      added_tokens: [{ id: 0, content: '<s>', special: true }],
      pre_tokenizer: pre,
      model: { type: 'BPE', vocab: { '<s>': 0, ...vocab, th: 257 }, merges: ['t h'], ...model },
    }
  }
  const split = (Regex: string) => ({
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
    ],
  })
  const llama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

  it('of our own making is GPT-2’s', () => {
    const { metadata } = written({})
    expect(metadata['tokenizer.ggml.model']).toBe('gpt2')
    expect(metadata['tokenizer.ggml.pre']).toBe('gpt-2')
    expect(metadata['tokenizer.ggml.merges']).toEqual(['t h'])
    expect((metadata['tokenizer.ggml.tokens'] as string[])[257]).toBe('th')
    expect(metadata['tokenizer.ggml.add_bos_token']).toBe(true)
  })

  it.each([
    ['llama-bpe', split(llama3), { ignore_merges: true }],
    ['dbrx', split(llama3), {}],
    ['qwen2', split(llama3.replace('{1,3}', '')), {}],
    [
      'smollm',
      {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: true }, { type: 'ByteLevel' }],
      },
      {},
    ],
  ])('that cuts words as %s is called so', (name, pre, model) => {
    expect(written({ tokenizer: json(pre, model) }).metadata['tokenizer.ggml.pre']).toBe(name)
  })

  it.each([
    ['cuts words in a way of its own', json(split('\\w+')), /pre_tokenizer: llama\.cpp has no such way/],
    ['skips merges', json({ type: 'ByteLevel' }, { ignore_merges: true }), /model\.ignore_merges/],
    [
      'writes small letters',
      { ...json({ type: 'ByteLevel' }), normalizer: { type: 'Lowercase' } },
      /normalizer/,
    ],
    ['is no BPE', json(null, { type: 'Unigram' }), /model\.type: .*of the type Unigram/],
  ])('that %s is refused', (_, tokenizer, message) => {
    expect(() => written({ tokenizer })).toThrow(message)
  })

  it('of fewer tokens than the model has rows is filled up with unused ones', () => {
    const { metadata } = written({ change: { rows: 260 } })
    expect((metadata['tokenizer.ggml.tokens'] as string[]).slice(257)).toEqual(['th', '[PAD258]', '[PAD259]'])
    expect((metadata['tokenizer.ggml.token_type'] as number[]).slice(257)).toEqual([1, 5, 5])
    expect(metadata['llama.vocab_size']).toBe(260)
  })

  it('of SentencePiece’s kind has scores, and what llama.cpp would merge besides is told', () => {
    const pieces = [
      '<unk>',
      '<s>',
      '</s>',
      ...Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`),
    ]
    const texts = ['▁', 'a', 'b', 'c', 'ab', 'bc', 'abc']
    const vocab = Object.fromEntries([...pieces, ...texts].map((text, id) => [text, id]))
    const tokenizer = {
      added_tokens: [1, 2].map((id) => ({ id, content: pieces[id], special: true })),
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      model: {
        type: 'BPE',
        byte_fallback: true,
        unk_token: '<unk>',
        vocab,
        merges: [
          ['a', 'b'],
          ['b', 'c'],
          ['ab', 'c'],
        ],
      },
    }
    const { metadata, warnings } = written({ tokenizer, change: { vocab: 266 } })
    // Merged first: ab; then bc; then abc; letters are no merges.
    expect((metadata['tokenizer.ggml.scores'] as number[]).slice(259).map((score) => score + 0)).toEqual([
      -3, -3, -3, -3, 0, -1, -2,
    ])
    expect(metadata['tokenizer.ggml.add_space_prefix']).toBe(false)
    expect(warnings).toEqual([expect.stringMatching(/it merges 1 pairs that this one does not/)])
  })

  it('is not told from the model’s name', () => {
    expect(written({ name: 'Phi-3 small' }).metadata['general.name']).toBe('Phi 3 small')
  })
})
