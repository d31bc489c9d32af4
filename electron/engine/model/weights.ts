import { badInput, layerWeights, LLAMA, weightShapes, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { createRandom } from '../random'

/** A model's weights on the host, by our names (contract/weights.ts). */
export type Weights = Map<string, Weight>
export interface Weight extends Stored {
  data: Float32Array
}

/** A tensor of a file: what it is known by before its numbers are read. */
export interface Stored {
  shape: number[]
  /** The half precision that its numbers come from and all of which it holds; f32 where there is none. */
  half?: Half
}

export type Half = 'f16' | 'bf16'

/** Weights one after the other, of a model that need not be in memory whole. */
export interface WeightSource {
  tensors: ReadonlyMap<string, Stored>
  /** Each of them once, in any order. */
  values(): Iterable<readonly [string, Weight]>
}

/** Standard deviation of the first weights, GPT-2's. */
const DEVIATION = 0.02

/**
 * First weights from a seed: normal with deviation 0.02, what is added to the residual stream divided by
 * sqrt(2 layers) (GPT-2), norms at 1, biases at 0. Each tensor draws from a random stream of its own name.
 */
export function initialise(config: ModelConfig, seed: number): Weights {
  const weights: Weights = new Map()
  /** A gain that is stored as what it is more than 1 begins at 0. */
  const gain = (config.architecture ?? LLAMA).norm.offset ? 0 : 1
  for (const [name, shape] of weightShapes(config)) {
    const size = shape.reduce((a, b) => a * b, 1)
    const residual = name.endsWith(layerWeights.output) || name.endsWith(layerWeights.down)
    const deviation = residual ? DEVIATION / Math.sqrt(2 * config.layers) : DEVIATION
    const random = createRandom(seed, `initialise/${name}`)
    const data = new Float32Array(size)
    if (shape.length === 1) data.fill(name.endsWith('.bias') ? 0 : gain)
    else for (let i = 0; i < size; i++) data[i] = random.normal() * deviation
    weights.set(name, { shape, data })
  }
  return weights
}

/** Each layer has tensors of its own, of the model or of its adapters: counted before a list of them is made. */
export function checkLayers({ layers }: ModelConfig, weights: Weights, file: string): void {
  if (layers <= weights.size) return
  throw badInput(`the file has ${weights.size} tensors`, { file, expected: `those of ${layers} layers` })
}

/** Refuses weights that are not the ones wanted: one that is missing, one too many, or one of another shape. */
export function checkWeights(
  shapes: ReadonlyMap<string, readonly number[]>,
  weights: Weights,
  file: string,
): void {
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

/** @throws bad-input when a weight is no number, or none that is finite */
export function checkFinite(data: Float32Array, file: string, field: string): void {
  const at = data.findIndex((value) => !Number.isFinite(value))
  if (at < 0) return
  throw badInput(`the value at place ${at} is ${data[at]}`, { file, field, expected: 'finite numbers' })
}

/** The weights as tensors of the current backend, by name; whoever asks for them disposes of them. */
export function toTensors(weights: Weights): Map<string, tf.Tensor> {
  const tensors = new Map<string, tf.Tensor>()
  for (const [name, { shape, data }] of weights) tensors.set(name, tf.keep(tf.tensor(data, shape)))
  return tensors
}
