import {
  adapterName,
  adapterShapes,
  adaptedMatrices,
  layerWeight,
  loraScale,
  type Lora,
  type ModelConfig,
} from '#contract'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { groupsOf, type Matrix, type Together } from './layer'
import type { Weights } from './weights'

/** Among a model's parameters: what its adapters' products are multiplied with, a scalar. */
export const LORA_SCALE = 'lora.scale'

/** Among a model's parameters: what of the input of a layer's matrices its adapters read, [tokens, in]. */
export function maskName(layer: number, matrices: Together): string {
  return `lora.mask.${layer}.${matrices[0]}`
}

/**
 * First adapters: A uniform within 1 / sqrt(in), B at 0, so that the model begins as it was (Hu et al. 2021, with the
 * range that PEFT has for A). Each draws from a random stream of its own name.
 */
export function initialAdapters(model: ModelConfig, own: Lora, seed: number): Weights {
  const weights: Weights = new Map()
  for (const [name, shape] of adapterShapes(model, own)) {
    const [, from] = shape as [number, number]
    const data = new Float32Array(shape[0]! * from)
    if (name.endsWith('lora_A.weight')) {
      const random = createRandom(seed, `initialise/${name}`)
      for (let i = 0; i < data.length; i++) data[i] = (2 * random.next() - 1) / Math.sqrt(from)
    }
    weights.set(name, { shape, data })
  }
  return weights
}

/**
 * x times what a matrix's adapters add to it, [tokens, out]; undefined where it has none.
 *
 * @param parameters the model's, with adapters, their scale, and the masks of dropout where there are some
 */
export function adapted(
  x: tf.Tensor2D,
  parameters: ReadonlyMap<string, tf.Tensor>,
  layer: number,
  which: Matrix,
  matrices: Together,
): tf.Tensor2D | undefined {
  const matrix = layerWeight(layer, which)
  const a = parameters.get(adapterName(matrix, 'A')) as tf.Tensor2D | undefined
  if (!a) return undefined
  const b = parameters.get(adapterName(matrix, 'B')) as tf.Tensor2D
  const mask = parameters.get(maskName(layer, matrices)) as tf.Tensor2D | undefined
  const inner = tf.matMul<tf.Tensor2D>(mask ? tf.mul<tf.Tensor2D>(x, mask) : x, a, false, true)
  return tf.mul(tf.matMul<tf.Tensor2D>(inner, b, false, true), parameters.get(LORA_SCALE)!)
}

/** A matrix with what its adapters add, [out, in]; itself where it has none. */
export function mergedMatrix(parameters: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor2D {
  const matrix = parameters.get(name) as tf.Tensor2D
  const a = parameters.get(adapterName(name, 'A')) as tf.Tensor2D | undefined
  if (!a) return matrix
  const b = parameters.get(adapterName(name, 'B')) as tf.Tensor2D
  return tf.add(matrix, tf.mul(tf.matMul<tf.Tensor2D>(b, a), parameters.get(LORA_SCALE)!))
}

/** The weights of a model with its adapters in them: what it is without any. */
export function mergeAdapters(model: ModelConfig, own: Lora, base: Weights, adapters: Weights): Weights {
  const merged: Weights = new Map(base)
  const scale = loraScale(own)
  for (const name of adaptedMatrices(model, own)) {
    const { shape, data } = base.get(name)!
    const [out, from] = shape as [number, number]
    const [a, b] = (['A', 'B'] as const).map((which) => adapters.get(adapterName(name, which))!.data) as [
      Float32Array,
      Float32Array,
    ]
    const sum = Float32Array.from(data)
    const row = new Float64Array(from)
    for (let i = 0; i < out; i++) {
      row.fill(0)
      for (let r = 0; r < own.rank; r++) {
        const factor = scale * b[i * own.rank + r]!
        for (let j = 0; j < from; j++) row[j]! += factor * a[r * from + j]!
      }
      for (let j = 0; j < from; j++) sum[i * from + j]! += row[j]!
    }
    merged.set(name, { shape, data: sum })
  }
  return merged
}

/**
 * Masks of dropout (Srivastava et al. 2014) by name: 0 with the given probability, else 1 / (1 - probability). Of each
 * layer's groups of matrices one, drawn from the seed, so that the same step draws the same.
 *
 * @param stream says which step and part of it
 */
export function dropoutMasks(
  model: ModelConfig,
  own: Lora,
  tokens: number,
  seed: number,
  stream: string,
): Map<string, tf.Tensor2D> {
  const masks = new Map<string, tf.Tensor2D>()
  if (!own.dropout) return masks
  const shapes = adapterShapes(model, own)
  const kept = 1 / (1 - own.dropout)
  for (let layer = 0; layer < model.layers; layer++) {
    for (const group of groupsOf(model)) {
      const shape = group
        .map((which) => shapes.get(adapterName(layerWeight(layer, which), 'A')))
        .find((found) => found)
      if (!shape) continue
      const name = maskName(layer, group)
      const random = createRandom(seed, `dropout/${stream}/${name}`)
      const data = new Float32Array(tokens * shape[1]!)
      for (let i = 0; i < data.length; i++) data[i] = random.next() < own.dropout ? 0 : kept
      masks.set(name, tf.tensor2d(data, [tokens, shape[1]!]))
    }
  }
  return masks
}
