import { tf } from '../backend/tf'
import type { MixedLoss } from './losses'

/** Tokens whose logits exist at a time. */
export interface Chunk {
  from: number
  size: number
}

/** Logits of a chunk: what a table of them takes, 4 MB, stays in a core's caches from one pass to the next. */
const LOGITS = 1 << 20

/**
 * Cuts a batch into chunks of whole sequences, equally many in each.
 *
 * @param logits at most so many in a chunk, if a sequence has no more
 */
export function chunksOf(sequences: number, time: number, vocab: number, logits = LOGITS): Chunk[] {
  const wanted = Math.ceil((sequences * time * vocab) / logits)
  let count = Math.min(wanted, sequences)
  while (sequences % count) count++
  const size = (sequences / count) * time
  return Array.from({ length: count }, (_, i) => ({ from: i * size, size }))
}

/**
 * A loss of the logits hidden head^T, chunk by chunk: each chunk's loss and gradient are computed together, so that
 * [tokens, vocab] never exists (the fused linear cross-entropy of Liger, for any loss). Equal to the loss of all
 * tokens at once wherever that is a mean over tokens.
 *
 * @param hidden [tokens, width]
 * @param head [vocab, width]
 * @param lossOf the loss of chunk `i` from its logits, [size, vocab]: means over its tokens
 */
export function chunkedLoss(
  hidden: tf.Tensor2D,
  head: tf.Tensor2D,
  chunks: readonly Chunk[],
  lossOf: (logits: tf.Tensor2D, i: number) => MixedLoss,
): MixedLoss {
  const logitsOf = (rows: tf.Tensor2D) => tf.matMul<tf.Tensor2D>(rows, head, false, true)
  if (chunks.length === 1) return lossOf(logitsOf(hidden), 0)
  const parts = chunks.map((chunk, i) => {
    const kept: { kd?: tf.Scalar; ce?: tf.Scalar; retention?: tf.Scalar } = {}
    const rows = rowsOf(hidden, chunk)
    const { value, grad } = tf.valueAndGrad((logits) => {
      const { loss, kd, ce, retention } = lossOf(logits as tf.Tensor2D, i)
      if (kd) kept.kd = tf.keep(tf.clone(kd))
      if (retention) kept.retention = tf.keep(tf.clone(retention))
      kept.ce = tf.keep(tf.clone(ce))
      return loss
    })(logitsOf(rows))
    const gradient = [tf.matMul(grad, head), tf.matMul(grad, rows, true)]
    return { loss: value as tf.Scalar, kd: kept.kd, ce: kept.ce!, retention: kept.retention, gradient }
  })
  const gradientOfHidden = tf.concat(parts.map((part) => part.gradient[0]!))
  const gradientOfHead = parts.map((part) => part.gradient[1]!).reduce((a, b) => tf.add(a, b))
  const mean = (scalars: tf.Scalar[]) =>
    tf.div<tf.Scalar>(
      scalars.reduce((a, b) => tf.add(a, b)),
      chunks.length,
    )
  const op = tf.customGrad((_h, _w, save) => {
    ;(save as tf.GradSaveFunc)([gradientOfHidden, gradientOfHead])
    const gradFunc = (dy: tf.Scalar, gradients: tf.Tensor[]) => {
      const scale = tf.div(dy, chunks.length)
      return gradients.map((gradient) => tf.mul(gradient, scale))
    }
    return { value: mean(parts.map((part) => part.loss)), gradFunc }
  })
  const loss = op(hidden, head) as tf.Scalar
  const ce = mean(parts.map((part) => part.ce))
  const kd = parts[0]!.kd && mean(parts.map((part) => part.kd!))
  const retention = parts[0]!.retention && mean(parts.map((part) => part.retention!))
  tf.dispose(parts.map((part) => [part.ce, part.kd, part.retention]))
  return { loss, ce, kd, retention }
}

/** A chunk's rows of [tokens, ...]. */
export function rowsOf(table: tf.Tensor2D, { from, size }: Chunk): tf.Tensor2D {
  return size === table.shape[0] ? table : tf.slice(table, [from, 0], [size, -1])
}
