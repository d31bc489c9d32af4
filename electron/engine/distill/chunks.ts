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
 * @param scale the power of two that the whole loss will be multiplied with: the gradients within are so much larger too
 */
export function chunkedLoss(
  hidden: tf.Tensor2D,
  head: tf.Tensor2D,
  chunks: readonly Chunk[],
  lossOf: (logits: tf.Tensor2D, i: number) => MixedLoss,
  scale?: tf.Scalar,
): MixedLoss {
  const scaled = (loss: tf.Scalar) => (scale ? tf.mul<tf.Scalar>(loss, scale) : loss)
  const unscaled = (loss: tf.Scalar) => (scale ? tf.div<tf.Scalar>(loss, scale) : loss)
  const logitsOf = (rows: tf.Tensor2D) => tf.matMul<tf.Tensor2D>(rows, head, false, true)
  if (chunks.length === 1) return lossOf(logitsOf(hidden), 0)
  const parts = chunks.map((chunk, i) => {
    const kept: Partial<Record<Part, tf.Tensor>> = {}
    const rows = rowsOf(hidden, chunk)
    const { value, grad } = tf.valueAndGrad((logits) => {
      const mixed = lossOf(logits as tf.Tensor2D, i)
      for (const part of PARTS) if (mixed[part]) kept[part] = tf.keep(tf.clone<tf.Tensor>(mixed[part]))
      return scaled(mixed.loss)
    })(logitsOf(rows))
    const gradient = [tf.matMul(grad, head), tf.matMul(grad, rows, true)]
    return { loss: unscaled(value as tf.Scalar), kept, gradient }
  })
  const gradientOfHidden = tf.concat(parts.map((part) => part.gradient[0]!))
  const gradientOfHead = parts.map((part) => part.gradient[1]!).reduce((a, b) => tf.add(a, b))
  const mean = <T extends tf.Tensor>(tensors: T[]) =>
    tf.div<T>(
      tensors.reduce((a, b) => tf.add<T>(a, b)),
      chunks.length,
    )
  const op = tf.customGrad((_h, _w, save) => {
    ;(save as tf.GradSaveFunc)([gradientOfHidden, gradientOfHead])
    const gradFunc = (dy: tf.Scalar, gradients: tf.Tensor[]) => {
      const share = unscaled(tf.div(dy, chunks.length))
      return gradients.map((gradient) => tf.mul(gradient, share))
    }
    return { value: mean(parts.map((part) => part.loss)), gradFunc }
  })
  const loss = op(hidden, head) as tf.Scalar
  const means: Partial<Record<Part, tf.Tensor>> = {}
  for (const part of PARTS) if (parts[0]!.kept[part]) means[part] = mean(parts.map(({ kept }) => kept[part]!))
  tf.dispose(parts.flatMap(({ kept }) => Object.values(kept)))
  return { loss, ...means } as MixedLoss
}

/** What is known of a loss beside its value. */
const PARTS = ['kd', 'ce', 'retention', 'foreign'] as const
type Part = (typeof PARTS)[number]

/** A chunk's rows of [tokens, ...]. */
export function rowsOf(table: tf.Tensor2D, { from, size }: Chunk): tf.Tensor2D {
  return size === table.shape[0] ? table : tf.slice(table, [from, 0], [size, -1])
}
