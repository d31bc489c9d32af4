import { chunkTokens } from '#contract'
import { tf } from '../backend/tf'
import type { MixedLoss } from './losses'

/** Tokens whose logits exist at a time. */
export interface Chunk {
  from: number
  size: number
  /** A zero that is there once the chunk before is done with: what is made of it begins no sooner (`inTurn`). */
  after?: tf.Scalar
}

/** Chunks of so many tokens each, in order. */
export function chunksOfSize(tokens: number, size: number): Chunk[] {
  return Array.from({ length: tokens / size }, (_, i) => ({ from: i * size, size }))
}

/** Cuts a batch of sequences into chunks: by what, says `chunkTokens`. */
export function chunksOf(
  sequences: number,
  time: number,
  vocab: number,
  options?: Parameters<typeof chunkTokens>[3],
): Chunk[] {
  return chunksOfSize(sequences * time, chunkTokens(sequences, time, vocab, options))
}

/**
 * Does work on one chunk after the other. The runtime computes a graph in an order of its own, in which the tables of
 * all chunks may exist at once; each chunk's rows (`rowsOf`) are therefore made to wait for the results before.
 *
 * @param work its results are all that is read of a chunk later; the large tables they are made of are gone by then
 */
export function inTurn<T>(
  chunks: readonly Chunk[],
  work: (chunk: Chunk, i: number) => T,
  resultsOf: (done: T) => readonly tf.Tensor[],
): T[] {
  let after: tf.Scalar | undefined
  return chunks.map((chunk, i) => {
    const done = work({ ...chunk, after }, i)
    if (i < chunks.length - 1) after = zeroOnce(resultsOf(done))
    return done
  })
}

/** 0, whatever the tensors are: nothing is above infinity, and what is no number neither. */
function zeroOnce(tensors: readonly tf.Tensor[]): tf.Scalar {
  const firsts = tf.concat(tensors.map((tensor) => tf.slice(tf.reshape(tensor, [-1]), [0], [1])))
  return tf.sum(tf.cast(tf.greater(firsts, Infinity), 'float32'))
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
 * @param before called before `lossOf`, for what the chunk's loss is made of beside its logits; gives what else is to be
 *   computed of that while its tables exist
 */
export function chunkedLoss(
  hidden: tf.Tensor2D,
  head: tf.Tensor2D,
  chunks: readonly Chunk[],
  lossOf: (logits: tf.Tensor2D, i: number) => MixedLoss,
  { scale, before }: { scale?: tf.Scalar; before?: (chunk: Chunk, i: number) => readonly tf.Tensor[] } = {},
): MixedLoss {
  const scaled = (loss: tf.Scalar) => (scale ? tf.mul<tf.Scalar>(loss, scale) : loss)
  const unscaled = (loss: tf.Scalar) => (scale ? tf.div<tf.Scalar>(loss, scale) : loss)
  const logitsOf = (rows: tf.Tensor2D) => tf.matMul<tf.Tensor2D>(rows, head, false, true)
  if (chunks.length === 1) {
    before?.(chunks[0]!, 0)
    return lossOf(logitsOf(hidden), 0)
  }
  let gradientOfHead: tf.Tensor2D | undefined
  const work = (chunk: Chunk, i: number) => {
    const kept: Partial<Record<Part, tf.Tensor>> = {}
    const others = before?.(chunk, i) ?? []
    const rows = rowsOf(hidden, chunk)
    const { value, grad } = tf.valueAndGrad((logits) => {
      const mixed = lossOf(logits as tf.Tensor2D, i)
      for (const part of PARTS) if (mixed[part]) kept[part] = tf.keep(tf.clone<tf.Tensor>(mixed[part]))
      return scaled(mixed.loss)
    })(logitsOf(rows))
    const ofHead = tf.matMul<tf.Tensor2D>(grad, rows, true)
    gradientOfHead = gradientOfHead ? tf.add<tf.Tensor2D>(gradientOfHead, ofHead) : ofHead
    const results = [value, ...Object.values(kept), ...others, gradientOfHead]
    return { loss: unscaled(value as tf.Scalar), kept, gradient: tf.matMul(grad, head), results }
  }
  const parts = inTurn(chunks, work, ({ results, gradient }) => [...results, gradient])
  const gradientOfHidden = tf.concat(parts.map(({ gradient }) => gradient))
  const mean = <T extends tf.Tensor>(tensors: T[]) =>
    tf.div<T>(
      tensors.reduce((a, b) => tf.add<T>(a, b)),
      chunks.length,
    )
  const op = tf.customGrad((_h, _w, save) => {
    ;(save as tf.GradSaveFunc)([gradientOfHidden, gradientOfHead!])
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

/** A chunk's rows of [tokens, ...], once it is its turn. */
export function rowsOf(table: tf.Tensor2D, { from, size, after }: Chunk): tf.Tensor2D {
  const rows = size === table.shape[0] ? table : tf.slice(table, [from, 0], [size, -1])
  return after ? tf.add(rows, after) : rows
}
