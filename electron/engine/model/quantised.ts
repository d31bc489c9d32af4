import { EMBEDDING, HEAD, layerWeight, type ModelConfig } from '#contract'
import { int8Tensor } from '../backend'
import { quantisedColumns, quantisedMatMul, quantisedRows, type QuantisedRows } from '../backend/quantised'
import { tf } from '../backend/tf'
import { MATRICES, type Matrix } from './layer'
import type { Weight, Weights } from './weights'

/**
 * Models whose matrices lie in 8 bits, a quarter of the memory: each output's weights are multiples of their own scale,
 * max |w| / 127 (symmetric, per channel), and each row of what is multiplied with them is brought to 8 bits by its own
 * size. Norms, biases, positions and attention stay in f32. They teach; nothing learns so.
 */

const LARGEST = 127

/** Where the scales of a matrix in 8 bits stand among the parameters. */
const scaleName = (matrix: string) => `${matrix}.scale`

type Parameters = ReadonlyMap<string, tf.Tensor>

/** What a matrix' columns are multiplied with, [out]; undefined where it is in f32. */
export function scaleOf(parameters: Parameters, matrix: string): tf.Tensor1D | undefined {
  return parameters.get(scaleName(matrix)) as tf.Tensor1D | undefined
}

/** Rows [rows, in] times a matrix in f32, [out, in]. */
export type Product = (x: tf.Tensor2D, matrix: tf.Tensor2D) => tf.Tensor2D

export const plainProduct: Product = (x, matrix) => tf.matMul<tf.Tensor2D>(x, matrix, false, true)

/**
 * Multiplies rows [rows, in] with matrices: f32 [out, in], or with their scales 8-bit [in, out].
 *
 * @param product of those in f32
 */
export function products(
  x: tf.Tensor2D,
  product = plainProduct,
): (matrix: tf.Tensor2D, scale?: tf.Tensor1D) => tf.Tensor2D {
  let quantised: QuantisedRows | undefined
  return (matrix, scale) => {
    if (!scale) return product(x, matrix)
    const [rows, sizes] = (quantised ??= quantisedRows(x))
    return quantisedMatMul({ rows, sizes, weight: matrix, scale })
  }
}

/** Rows of the embedding, [tokens, width]. */
export function gathered(parameters: Parameters, ids: tf.Tensor1D): tf.Tensor2D {
  const table = parameters.get(EMBEDDING) as tf.Tensor2D
  const scale = scaleOf(parameters, EMBEDDING)
  return scale ? quantisedColumns(table, scale, ids) : (tf.gather(table, ids) as tf.Tensor2D)
}

/**
 * The weights of a model as tensors, its matrices in 8 bits; whoever asks for them disposes of them.
 *
 * @param weights they are taken out one by one, so that both do not lie there at once
 */
export function quantisedTensors(config: ModelConfig, weights: Weights): Map<string, tf.Tensor> {
  const matrices = new Set(matrixNames(config))
  const tensors = new Map<string, tf.Tensor>()
  for (const [name, weight] of weights) {
    weights.delete(name)
    if (!matrices.has(name)) {
      tensors.set(name, tf.keep(tf.tensor(weight.data, weight.shape)))
      continue
    }
    // Rows beyond the vocabulary are never asked for.
    const rows = name === EMBEDDING || name === HEAD ? config.vocab : weight.shape[0]!
    const { data, scale } = quantise(weight, rows)
    tensors.set(name, tf.keep(int8Tensor(data, [weight.shape[1]!, rows])))
    tensors.set(scaleName(name), tf.keep(tf.tensor1d(scale)))
  }
  return tensors
}

/** The head alone, as `quantisedTensors` has it. */
export function quantisedHead(weight: Weight): { head: tf.Tensor2D; scale: tf.Tensor1D } {
  const [rows, width] = weight.shape as [number, number]
  const { data, scale } = quantise(weight, rows)
  return {
    head: tf.keep(int8Tensor(data, [width, rows]) as tf.Tensor2D),
    scale: tf.keep(tf.tensor1d(scale)),
  }
}

function matrixNames(config: ModelConfig): string[] {
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    (Object.keys(MATRICES) as Matrix[]).map((which) => layerWeight(layer, which)),
  )
  return [EMBEDDING, HEAD, ...layers.flat()]
}

/**
 * @param weight [out, in], of which the first `rows` are taken
 * @returns 8-bit [in, out], which ONNX Runtime multiplies as it lies there; and the scales, [out]
 */
export function quantise(
  { shape, data: weights }: Weight,
  rows: number,
): { data: Int8Array; scale: Float32Array } {
  const width = shape[1]!
  const data = new Int8Array(rows * width)
  const scale = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    let largest = 0
    for (let i = row * width; i < (row + 1) * width; i++) largest = Math.max(largest, Math.abs(weights[i]!))
    scale[row] = largest / LARGEST
    const inverse = largest > 0 ? LARGEST / largest : 0
    for (let i = 0; i < width; i++) data[i * rows + row] = Math.round(weights[row * width + i]! * inverse)
  }
  return { data, scale }
}
