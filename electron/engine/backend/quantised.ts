import { tf } from './tf'

/** The kernels of `kernels/quantised`, as operations on tensors. They have no gradients: teachers do not learn. */

/** Rows in 8 bits, and what each of their numbers stands for. */
export type QuantisedRows = readonly [rows: tf.Tensor2D, sizes: tf.Tensor2D]

/**
 * Each row in 8 bits: 128 + round(127 x / max |x|), so that what is said of one does not depend on the others.
 *
 * @param x [rows, columns]
 * @returns 8-bit [rows, columns]; and max |x| / 127, [rows, 1]
 */
export function quantisedRows(x: tf.Tensor2D): QuantisedRows {
  return run('QuantiseRows', { x }, 2) as unknown as QuantisedRows
}

/**
 * The product of rows in 8 bits with a matrix in 8 bits: added up in integers, then multiplied with both scales.
 *
 * @param weight 8-bit [columns, out]; `scale` what a column's numbers are multiplied with, [out]
 * @returns [rows, out]
 */
export function quantisedMatMul(given: {
  rows: tf.Tensor2D
  sizes: tf.Tensor2D
  weight: tf.Tensor
  scale: tf.Tensor
}): tf.Tensor2D {
  return run('QuantisedMatMul', given, 1)[0] as tf.Tensor2D
}

/**
 * Columns of a matrix in 8 bits, as rows of floats: the embedding of ids.
 *
 * @param weight 8-bit [width, vocab]
 * @param scale [vocab]
 * @param ids int32 [tokens]
 * @returns [tokens, width]
 */
export function quantisedColumns(weight: tf.Tensor, scale: tf.Tensor, ids: tf.Tensor): tf.Tensor2D {
  return run('QuantisedColumns', { weight, scale, ids }, 1)[0] as tf.Tensor2D
}

function run(kernel: string, inputs: Record<string, tf.Tensor>, outputs: number): tf.Tensor[] {
  const result = tf.engine().runKernel(kernel, inputs)
  return outputs === 1 ? [result as tf.Tensor] : (result as tf.Tensor[])
}
