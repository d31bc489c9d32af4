import { badInput, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { createRandom } from '../random'

/**
 * A model's weights on the host, under Hugging Face's names and in its layout for the Llama family (matrices are
 * [out, in]), so that an exported folder loads in other tools unchanged.
 */
export type Weights = Map<string, { shape: number[]; data: Float32Array }>

/** The weights' names of one layer, below `model.layers.<n>.`. */
export const layerWeights = {
  attentionNorm: 'input_layernorm.weight',
  query: 'self_attn.q_proj.weight',
  key: 'self_attn.k_proj.weight',
  value: 'self_attn.v_proj.weight',
  output: 'self_attn.o_proj.weight',
  feedForwardNorm: 'post_attention_layernorm.weight',
  gate: 'mlp.gate_proj.weight',
  up: 'mlp.up_proj.weight',
  down: 'mlp.down_proj.weight',
} as const

export type LayerWeight = keyof typeof layerWeights

export const EMBEDDING = 'model.embed_tokens.weight'
export const FINAL_NORM = 'model.norm.weight'
export const HEAD = 'lm_head.weight'

export function layerWeight(layer: number, which: LayerWeight): string {
  return `model.layers.${layer}.${layerWeights[which]}`
}

/** Every weight of a model with its shape, in the order of the forward pass. */
export function weightShapes(config: ModelConfig): Map<string, number[]> {
  const { vocab, width, hidden } = config
  const kvWidth = (width / config.heads) * config.kvHeads
  const shapes = new Map<string, number[]>([[EMBEDDING, [vocab, width]]])
  for (let l = 0; l < config.layers; l++) {
    shapes.set(layerWeight(l, 'attentionNorm'), [width])
    shapes.set(layerWeight(l, 'query'), [width, width])
    shapes.set(layerWeight(l, 'key'), [kvWidth, width])
    shapes.set(layerWeight(l, 'value'), [kvWidth, width])
    shapes.set(layerWeight(l, 'output'), [width, width])
    shapes.set(layerWeight(l, 'feedForwardNorm'), [width])
    shapes.set(layerWeight(l, 'gate'), [hidden, width])
    shapes.set(layerWeight(l, 'up'), [hidden, width])
    shapes.set(layerWeight(l, 'down'), [width, hidden])
  }
  shapes.set(FINAL_NORM, [width])
  if (!config.tied) shapes.set(HEAD, [vocab, width])
  return shapes
}

/** Standard deviation of the first weights, GPT-2's. */
const DEVIATION = 0.02

/**
 * First weights from a seed: normal with deviation 0.02, what is added to the residual stream divided by
 * sqrt(2 layers) (GPT-2), norms at 1. Each tensor draws from a random stream of its own name.
 */
export function initialise(config: ModelConfig, seed: number): Weights {
  const weights: Weights = new Map()
  for (const [name, shape] of weightShapes(config)) {
    const size = shape.reduce((a, b) => a * b, 1)
    const residual = name.endsWith(layerWeights.output) || name.endsWith(layerWeights.down)
    const deviation = residual ? DEVIATION / Math.sqrt(2 * config.layers) : DEVIATION
    const random = createRandom(seed, `initialise/${name}`)
    const data = new Float32Array(size)
    for (let i = 0; i < size; i++) data[i] = shape.length === 1 ? 1 : random.normal() * deviation
    weights.set(name, { shape, data })
  }
  return weights
}

/** Refuses weights that are not the model's: one that is missing, one too many, or one of another shape. */
export function checkWeights(config: ModelConfig, weights: Weights, file: string): void {
  const shapes = weightShapes(config)
  for (const [name, shape] of shapes) {
    const found = weights.get(name)
    if (!found)
      throw badInput('the tensor is missing', { file, field: name, expected: `shape [${shape.join(', ')}]` })
    if (found.shape.join() !== shape.join()) {
      throw badInput(`the tensor has shape [${found.shape.join(', ')}]`, {
        file,
        field: name,
        expected: `[${shape.join(', ')}]`,
      })
    }
  }
  for (const name of weights.keys()) {
    if (!shapes.has(name)) throw badInput('the model has no such tensor', { file, field: name })
  }
}

/** The weights as tensors of the current backend, by name; whoever asks for them disposes of them. */
export function toTensors(weights: Weights): Map<string, tf.Tensor> {
  const tensors = new Map<string, tf.Tensor>()
  for (const [name, { shape, data }] of weights) tensors.set(name, tf.keep(tf.tensor(data, shape)))
  return tensors
}
