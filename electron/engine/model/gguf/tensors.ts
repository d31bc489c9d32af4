import {
  badInput,
  EMBEDDING,
  FINAL_NORM,
  FINAL_NORM_BIAS,
  HEAD,
  headSize,
  layerWeight,
  layerWeights,
  LLAMA,
  POSITIONS,
  rotaries,
  type LayerWeight,
  type ModelConfig,
} from '#contract'
import { toTheirs } from '../convert'
import { reorderRows } from '../llama2c'
import { frequencies } from '../rotary'
import { BLOCK, storedAs } from '../storedTypes'
import type { Weights, Weight } from '../weights'
import type { Known } from './architecture'
import type { StoredTensor, TensorType } from './format'

/** llama.cpp's names of a layer's tensors, below `blk.<n>.` and without `.weight` or `.bias`. */
const LAYER: Readonly<Record<string, string>> = {
  attentionNorm: 'attn_norm',
  query: 'attn_q',
  key: 'attn_k',
  value: 'attn_v',
  queryNorm: 'attn_q_norm',
  keyNorm: 'attn_k_norm',
  output: 'attn_output',
  attendedNorm: 'post_attention_norm',
  feedForwardNorm: 'ffn_norm',
  gate: 'ffn_gate',
  up: 'ffn_up',
  down: 'ffn_down',
  fedNorm: 'post_ffw_norm',
}

const OUTSIDE: Readonly<Record<string, string>> = {
  [EMBEDDING]: 'token_embd.weight',
  [POSITIONS]: 'position_embd.weight',
  [FINAL_NORM]: 'output_norm.weight',
  [FINAL_NORM_BIAS]: 'output_norm.bias',
  [HEAD]: 'output.weight',
}

/** A model's tensors as llama.cpp names them and lays them out. */
export function ggufTensors(
  config: ModelConfig,
  known: Known,
  weights: Weights,
  dtype: TensorType,
): StoredTensor[] {
  return [...theirs(config, known, weights)].map(([name, tensor]) => stored(name, tensor, dtype))
}

function theirs(config: ModelConfig, known: Known, weights: Weights): Map<string, Weight> {
  const tensors = rotaryFactors(config)
  for (const [name, ours] of Object.entries(OUTSIDE).map(
    ([ours, name]) => [name, weights.get(ours)] as const,
  ))
    if (ours) tensors.set(name, name === 'output_norm.weight' ? gain(config, ours) : ours)
  if (config.tied && known.head === 'own') tensors.set('output.weight', weights.get(EMBEDDING)!)
  for (let layer = 0; layer < config.layers; layer++) {
    const place = (name: string) => `blk.${layer}.${name}`
    for (const [name, group] of groupsOf(known)) {
      const own = group.map((which) => layerWeight(layer, which))
      if (!weights.has(own[0]!)) continue
      const [tensor] = toTheirs({ theirs: [name], ours: own }, weights).values()
      tensors.set(place(name), laidOut(config, known, group[0]!, tensor!))
    }
  }
  return tensors
}

/** The tensors of a layer, each with those of ours that it is made of. */
function groupsOf({ fused }: Known): [string, LayerWeight[]][] {
  const groups: [string, LayerWeight[]][] = []
  if (fused) {
    groups.push(['attn_qkv.weight', ['query', 'key', 'value']])
    groups.push(['attn_qkv.bias', ['queryBias', 'keyBias', 'valueBias']])
  }
  if (fused === 'both') groups.push(['ffn_up.weight', ['gate', 'up']])
  const joined = new Set(groups.flatMap(([, group]) => group))
  for (const which of Object.keys(layerWeights) as LayerWeight[]) {
    if (joined.has(which)) continue
    const base = LAYER[which.replace(/Bias$/, '')]!
    groups.push([`${base}.${which.endsWith('Bias') ? 'bias' : 'weight'}`, [which]])
  }
  return groups
}

function laidOut(config: ModelConfig, { pairs }: Known, which: LayerWeight, tensor: Weight): Weight {
  const size = headSize(config)
  if (pairs && /^(query|key)(Bias)?$/.test(which)) {
    const [, columns = 1] = tensor.shape
    return { ...tensor, data: reorderRows(tensor.data, columns, size, 'to-pairs') }
  }
  const { attention } = config.architecture ?? LLAMA
  if (/^(query|key)Norm$/.test(which) && attention.norm === 'each-head')
    return { ...tensor, shape: [tensor.data.length / size, size] }
  return which.endsWith('Norm') ? gain(config, tensor) : tensor
}

/** Of a norm that multiplies by 1 + what is learned, the sum: llama.cpp multiplies by what is there. */
function gain(config: ModelConfig, tensor: Weight): Weight {
  const { offset } = (config.architecture ?? LLAMA).norm
  return offset ? { ...tensor, data: tensor.data.map((value) => 1 + value) } : tensor
}

/** What rotary frequencies are divided by, where that is no metadata: Llama 3's ramp, LongRoPE's divisors. */
function rotaryFactors(config: ModelConfig): Map<string, Weight> {
  const tensor = (values: ArrayLike<number>): Weight => ({
    shape: [values.length],
    data: Float32Array.from(values),
  })
  const [first] = rotaries(config)
  switch (first?.scaling?.kind) {
    case 'llama3': {
      const plain = frequencies({ ...first, scaling: undefined }, 1).values
      const { values } = frequencies(first, 1)
      return new Map([['rope_freqs.weight', tensor(plain.map((f, i) => f / values[i]!))]])
    }
    case 'longrope':
      return new Map([
        ['rope_factors_long.weight', tensor(first.scaling.long)],
        ['rope_factors_short.weight', tensor(first.scaling.short)],
      ])
    default:
      return new Map()
  }
}

/** Matrices are of the type that was asked for; llama.cpp wants what it adds, or multiplies number by number, in f32. */
function stored(name: string, { shape, data }: Weight, dtype: TensorType): StoredTensor {
  const plain = shape.length === 1 || /_norm\.weight$/.test(name) || name === 'position_embd.weight'
  const type = plain ? 'f32' : dtype
  const columns = shape[shape.length - 1]!
  if (type === 'q8_0' && columns % BLOCK)
    throw badInput(`rows of "${name}" have ${columns} numbers, q8_0 holds ${BLOCK} at a time`, {
      field: 'dtype',
      expected: 'f32 or f16',
    })
  return { name, shape, type, bytes: storedAs(type, data, name) }
}
