import { LLAMA } from './architecture'
import { headSize, type ModelConfig } from './model'

/**
 * Names of a layer's weights, below `model.layers.<n>.`. Those that a Llama has are Hugging Face's, so that an exported
 * folder loads in other tools unchanged; matrices are [out, in].
 */
export const layerWeights = {
  attentionNorm: 'input_layernorm.weight',
  attentionNormBias: 'input_layernorm.bias',
  query: 'self_attn.q_proj.weight',
  queryBias: 'self_attn.q_proj.bias',
  key: 'self_attn.k_proj.weight',
  keyBias: 'self_attn.k_proj.bias',
  value: 'self_attn.v_proj.weight',
  valueBias: 'self_attn.v_proj.bias',
  queryNorm: 'self_attn.q_norm.weight',
  keyNorm: 'self_attn.k_norm.weight',
  output: 'self_attn.o_proj.weight',
  outputBias: 'self_attn.o_proj.bias',
  /** Of the output of attention. */
  attendedNorm: 'self_attn.norm.weight',
  attendedNormBias: 'self_attn.norm.bias',
  feedForwardNorm: 'post_attention_layernorm.weight',
  feedForwardNormBias: 'post_attention_layernorm.bias',
  gate: 'mlp.gate_proj.weight',
  gateBias: 'mlp.gate_proj.bias',
  up: 'mlp.up_proj.weight',
  upBias: 'mlp.up_proj.bias',
  down: 'mlp.down_proj.weight',
  downBias: 'mlp.down_proj.bias',
  /** Of the output of the feed-forward. */
  fedNorm: 'mlp.norm.weight',
  fedNormBias: 'mlp.norm.bias',
} as const
export type LayerWeight = keyof typeof layerWeights

export const EMBEDDING = 'model.embed_tokens.weight'
export const POSITIONS = 'model.embed_positions.weight'
/** From the embedding's width to the model's, and back. */
export const PROJECT_IN = 'model.project_in.weight'
export const PROJECT_OUT = 'model.project_out.weight'
export const FINAL_NORM = 'model.norm.weight'
export const FINAL_NORM_BIAS = 'model.norm.bias'
export const HEAD = 'lm_head.weight'

export function layerWeight(layer: number, which: LayerWeight): string {
  return `model.layers.${layer}.${layerWeights[which]}`
}

/** Every weight of a model with its shape, in the order of the forward pass. */
export function weightShapes(config: ModelConfig): Map<string, number[]> {
  const { norm, positions, embedding } = config.architecture ?? LLAMA
  const { width, context } = config
  const rows = config.rows ?? config.vocab
  const tableWidth = embedding.width ?? width
  const shapes = new Map<string, number[]>([[EMBEDDING, [rows, tableWidth]]])
  if (embedding.width) shapes.set(PROJECT_IN, [width, tableWidth])
  if (positions.learned !== undefined) shapes.set(POSITIONS, [context + positions.learned, width])
  const own = layerShapes(config)
  for (let l = 0; l < config.layers; l++)
    for (const [which, shape] of own) shapes.set(layerWeight(l, which), shape)
  if (norm.final && norm.gain) shapes.set(FINAL_NORM, [width])
  if (norm.final && norm.bias) shapes.set(FINAL_NORM_BIAS, [width])
  if (embedding.width) shapes.set(PROJECT_OUT, [tableWidth, width])
  if (!config.tied) shapes.set(HEAD, [rows, tableWidth])
  return shapes
}

/** The weights of one layer. */
function layerShapes(config: ModelConfig): [LayerWeight, number[]][] {
  const { norm, parallel, attention, feedForward } = config.architecture ?? LLAMA
  const { width, hidden, heads, kvHeads } = config
  const size = headSize(config)
  const [queryWidth, keyWidth] = [heads * size, kvHeads * size]
  const shapes: [LayerWeight, number[]][] = []
  const add = (wanted: boolean, which: LayerWeight, ...shape: number[]) =>
    wanted && shapes.push([which, shape])
  const addNorm = (wanted: boolean, gain: LayerWeight, bias: LayerWeight) => {
    add(wanted && norm.gain, gain, width)
    add(wanted && norm.bias, bias, width)
  }
  const addMatrix = (which: LayerWeight, bias: LayerWeight, biased: boolean, out: number, from: number) => {
    add(true, which, out, from)
    add(biased, bias, out)
  }
  const addHeadNorm = (which: LayerWeight, all: number) =>
    add(attention.norm !== 'none', which, attention.norm === 'head' ? size : all)
  addNorm(norm.place !== 'after', 'attentionNorm', 'attentionNormBias')
  addMatrix('query', 'queryBias', attention.inputBias, queryWidth, width)
  addMatrix('key', 'keyBias', attention.inputBias, keyWidth, width)
  addMatrix('value', 'valueBias', attention.inputBias, keyWidth, width)
  addHeadNorm('queryNorm', queryWidth)
  addHeadNorm('keyNorm', keyWidth)
  addMatrix('output', 'outputBias', attention.outputBias, width, queryWidth)
  const after = norm.place === 'after' || norm.place === 'both'
  addNorm(after, 'attendedNorm', 'attendedNormBias')
  addNorm(norm.place !== 'after' && parallel !== 'shared', 'feedForwardNorm', 'feedForwardNormBias')
  if (feedForward.gated) addMatrix('gate', 'gateBias', feedForward.bias, hidden, width)
  addMatrix('up', 'upBias', feedForward.bias, hidden, width)
  addMatrix('down', 'downBias', feedForward.bias, width, hidden)
  addNorm(after, 'fedNorm', 'fedNormBias')
  return shapes
}

/** Numbers of a token that the head makes its logits of. */
export function stateWidth(config: ModelConfig): number {
  return (config.architecture ?? LLAMA).embedding.width ?? config.width
}

/** Parameters of a model, tied weights counted once. */
export function parameterCount(config: ModelConfig): number {
  let sum = 0
  for (const shape of weightShapes(config).values()) sum += shape.reduce((a, b) => a * b, 1)
  return sum
}
