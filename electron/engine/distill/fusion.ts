import type { Weighting } from '#contract'
import { tf } from '../backend/tf'

/**
 * The fused target p, [tokens, vocab] (METHOD: fused target).
 *
 * Arithmetic (the paper's): p = sum_k alpha_k p_k. Geometric: p proportional to exp(sum_k alpha_k log p_k).
 *
 * @param logP log p_k of each teacher, [tokens, vocab]
 * @param alpha [tokens, K]
 */
export function fuse(
  fusion: Weighting['fusion'],
  logP: readonly tf.Tensor2D[],
  alpha: tf.Tensor2D,
): tf.Tensor2D {
  const parts = logP.map((l, k) => {
    const weight = teacherColumn(alpha, k)
    return tf.mul<tf.Tensor2D>(fusion === 'arithmetic' ? tf.exp(l) : l, weight)
  })
  const sum = parts.reduce((a, b) => tf.add(a, b))
  return fusion === 'arithmetic' ? sum : tf.softmax(sum)
}

/** Column k of [tokens, K], as [tokens, 1]. */
export function teacherColumn(table: tf.Tensor2D, k: number): tf.Tensor2D {
  return table.shape[1] === 1 ? table : tf.slice(table, [0, k], [-1, 1])
}
