import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { architecture, families, studentArchitecture, type Family, type ModelConfig } from '#contract'
import { readHuggingFace } from '../huggingface'
import { readSafetensors } from '../safetensors'
import { encodeGguf } from '.'
import { ggufFamilies } from './architecture'
import { config, inFolder, numbersOf, readGguf } from './testing'

const shared = resolve(import.meta.dirname, '../../../../../shared/data/families')

const { written, target } = inFolder()

const studentOf = (family: Family): Partial<ModelConfig> => {
  const ungrouped = ['gpt2', 'gpt_neox', 'opt'].includes(family)
  return {
    family,
    ...(ungrouped && { kvHeads: 4 }),
    architecture: studentArchitecture(family, { width: 32, heads: 4, layers: 2 }),
  }
}

describe('a student of a family, from nothing', () => {
  it.each(families.filter((family) => family !== 'opt'))('%s is written', (family) => {
    const { metadata, tensors } = written({ change: studentOf(family) })
    const name = ggufFamilies[family]!.name
    expect(metadata['general.architecture']).toBe(name)
    expect(metadata[`${name}.block_count`]).toBe(2)
    expect(metadata[`${name}.context_length`]).toBe(64)
    expect(tensors.get('token_embd.weight')!.dimensions).toEqual([32, 258])
  })

  it('opt is refused', () => {
    expect(() => written({ change: studentOf('opt') })).toThrow(/llama\.cpp does not know the family "opt"/)
  })
})

const own = (changes: Parameters<typeof architecture.parse>[0]) => ({
  architecture: architecture.parse(changes),
})
const yarn = {
  kind: 'yarn',
  factor: 4,
  original: 16,
  attention: 1.2,
  fast: 32,
  slow: 1,
  whole: true,
} as const

describe('what llama.cpp would compute otherwise', () => {
  it.each<[string, Partial<ModelConfig>, RegExp]>([
    ['another activation', own({ feedForward: { activation: 'gelu' } }), /the activation gelu/],
    ['another scale', own({ attention: { scale: 0.5 } }), /scores multiplied by 0\.5/],
    ['windows', own({ attention: { windows: [16, null] } }), /windows of 16 tokens in a context of 64/],
    [
      'a scaling that grows',
      own({ positions: { rotary: [{ scaling: { kind: 'dynamic', factor: 2, original: 64 } }] } }),
      /scaled by dynamic/,
    ],
    [
      'another ramp of YaRN',
      own({ positions: { rotary: [{ scaling: { ...yarn, fast: 16 } }] } }),
      /a ramp of YaRN/,
    ],
    [
      'a part of each head turned',
      own({ positions: { rotary: [{ dimensions: 4 }] } }),
      /4 dimensions are turned/,
    ],
    [
      'heads of their own size',
      { ...studentOf('qwen2'), headSize: 16 },
      /qwen2 cannot compute heads of a size of 16/,
    ],
    ['multipliers', own({ residual: 0.5 }), /multipliers/],
    [
      'biases',
      { family: 'qwen2', ...own({ attention: { inputBias: true, outputBias: true } }) },
      /qwen2 cannot compute an attention's output with biases/,
    ],
    [
      'other layers without positions',
      { family: 'smollm3', ...own({ positions: { byLayer: [null, 0] } }) },
      /every fourth \(layer 1\)/,
    ],
    [
      'no caps',
      { ...studentOf('gemma2'), ...own({ ...studentArchitecture('gemma2', config), logits: {} }) },
      /gemma2 cannot compute scores and logits without caps/,
    ],
    ['a head of its own', { ...studentOf('gemma2'), tied: false }, /gemma2 cannot compute a head of its own/],
  ])('is refused: %s', (_, change, message) => {
    expect(() => written({ change })).toThrow(message)
    expect(existsSync(target())).toBe(false)
  })

  it('is not refused where a window is as long as the context', () => {
    expect(() =>
      written({ change: { family: 'mistral', ...own({ attention: { windows: [64, 64] } }) } }),
    ).not.toThrow()
  })

  it('is said where it is near: GELU’s approximation, ids beyond the tokenizer’s', () => {
    const neox = studentOf('gpt_neox')
    expect(neox.architecture!.feedForward.activation).toBe('gelu')
    expect(written({ change: { ...neox, rows: 264 } }).warnings).toEqual([
      expect.stringContaining('approximation with tanh'),
      expect.stringContaining('one of 6 ids that the tokenizer does not have'),
    ])
    expect(written({}).warnings).toEqual([])
  })

  it('is what YaRN multiplies by, told by the usual factor', () => {
    const { metadata } = written({ change: own({ positions: { rotary: [{ scaling: yarn }] } }) })
    expect(metadata['llama.rope.scaling.type']).toBe('yarn')
    // It takes 1 + ln(4) / 10 = 1.138629 by itself.
    expect(metadata['llama.rope.scaling.attn_factor']).toBeCloseTo(1.2 / 1.1386294, 6)
    expect(metadata['llama.rope.scaling.original_context_length']).toBe(16)
  })
})

describe.skipIf(!existsSync(shared))('tensors, beside those of the folder they come from', () => {
  /** The tensors that transformers saved, and those of the GGUF file. */
  function both(name: string) {
    const source = join(shared, name)
    const { config, weights } = readHuggingFace(source)
    const file = join(source, 'tokenizer.json')
    const { parts } = encodeGguf({
      name,
      config,
      weights,
      tokenizer: { file, kind: 'huggingface', bos: 1, eos: 1 },
      dtype: 'f32',
    })
    writeFileSync(target(), Buffer.concat(parts))
    const { metadata, tensors } = readGguf(target())
    const theirs = readSafetensors(join(source, 'model.safetensors'))
    return {
      metadata,
      theirs: (tensor: string) => [...theirs.get(tensor)!.data],
      ours: (tensor: string) => numbersOf(tensors.get(tensor)!),
    }
  }

  it('a Llama’s queries have the halves of a head side by side, its values are as they were', () => {
    const { metadata, theirs, ours } = both('llama2')
    const q = theirs('model.layers.1.self_attn.q_proj.weight')
    const [width, size] = [32, 8]
    const expected = Array.from({ length: 32 }, (_, row) => {
      const [head, at] = [row - (row % size), row % size]
      const from = head + (at % 2 ? size / 2 : 0) + Math.floor(at / 2)
      return q.slice(from * width, (from + 1) * width)
    }).flat()
    expect(ours('blk.1.attn_q.weight')).toEqual(expected)
    expect(ours('blk.1.attn_v.weight')).toEqual(theirs('model.layers.1.self_attn.v_proj.weight'))
    expect(ours('output.weight')).toEqual(theirs('lm_head.weight'))
    expect(metadata['tokenizer.ggml.model']).toBe('llama')
    const types = metadata['tokenizer.ggml.token_type'] as number[]
    // Unknown, two controls, 256 bytes, then text.
    expect([types[0], types[1], types[3], types[258], types[259]]).toEqual([2, 3, 6, 6, 1])
  })

  it('a Gemma’s norms are one more', () => {
    const { theirs, ours } = both('gemma3')
    for (const [a, b] of [
      ['blk.0.attn_norm.weight', 'model.layers.0.input_layernorm.weight'],
      ['blk.0.attn_q_norm.weight', 'model.layers.0.self_attn.q_norm.weight'],
      ['blk.1.post_ffw_norm.weight', 'model.layers.1.post_feedforward_layernorm.weight'],
      ['output_norm.weight', 'model.norm.weight'],
    ] as const)
      expect(ours(a)).toEqual(theirs(b).map((value) => Math.fround(1 + value)))
  })

  it('a GPT-NeoX’s queries of all heads come before the keys of all', () => {
    const { theirs, ours } = both('gpt-neox')
    const fused = theirs('gpt_neox.layers.0.attention.query_key_value.weight')
    const [heads, size, width] = [4, 8, 32]
    const expected = [0, 1, 2].flatMap((part) =>
      Array.from({ length: heads }, (_, head) => {
        const from = (head * 3 + part) * size * width
        return fused.slice(from, from + size * width)
      }).flat(),
    )
    expect(ours('blk.0.attn_qkv.weight')).toEqual(expected)
  })

  it('a Phi 3’s are those of the folder, a GPT-2’s lie the other way round', () => {
    const phi = both('phi3')
    expect(phi.ours('blk.1.ffn_up.weight')).toEqual(phi.theirs('model.layers.1.mlp.gate_up_proj.weight'))
    const gpt = both('gpt2')
    const theirs = gpt.theirs('transformer.h.0.mlp.c_fc.weight')
    const [out, width] = [theirs.length / 32, 32]
    const turned = Array.from(
      { length: theirs.length },
      (_, i) => theirs[(i % width) * out + Math.floor(i / width)],
    )
    expect(gpt.ours('blk.0.ffn_up.weight')).toEqual(turned)
  })
})

describe('numbers', () => {
  it('of rows that are no multiple of 32 are refused in q8_0', () => {
    expect(() => written({ change: { hidden: 48 }, dtype: 'q8_0' })).toThrow(
      /dtype: rows of "blk\.0\.ffn_down\.weight" have 48 numbers, q8_0 holds 32 at a time; expected f32 or f16/,
    )
    expect(() => written({ change: { hidden: 48 }, dtype: 'f16' })).not.toThrow()
  })
})
