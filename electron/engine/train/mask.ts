import { tf } from '../backend/tf'
import type { Chunk } from '../distill/chunks'
import type { ApartWeights } from '../distill/losses'

/** Of a step of which the student wrote a part: what the labels count, and what it wrote, [tokens] each. */
interface Apart {
  labels: Float32Array
  written: Float32Array
}

/** Which of a step's tokens count, 1 or 0, [tokens] each. */
export interface Masks {
  /** In the losses and in what is told of them; absent: all do. */
  mask?: Float32Array
  /** Both among the mask's. */
  apart?: Apart
}

/** The weights of a step's tokens that masks make. */
export interface Counted {
  weights?: Float32Array
  apart?: Apart
}

export function countedOf({ mask, apart }: Masks): Counted {
  return {
    ...(mask && { weights: weightsOfMask(mask) }),
    ...(apart && { apart: { labels: weightsOfSome(apart.labels), written: weightsOfSome(apart.written) } }),
  }
}

/** Of the tokens from one to before another. */
export function countedPart({ weights, apart }: Counted, from: number, to: number): Counted {
  return {
    ...(weights && { weights: weights.subarray(from, to) }),
    ...(apart && {
      apart: { labels: apart.labels.subarray(from, to), written: apart.written.subarray(from, to) },
    }),
  }
}

/** The same of a chunk, as columns. */
export function countedColumns(
  counted: Counted,
  { from, size }: Chunk,
): { weights: tf.Tensor2D | undefined; apart: ApartWeights | undefined } {
  const { weights, apart } = countedPart(counted, from, from + size)
  return {
    weights: weights && columnOf(weights),
    apart: apart && { labels: columnOf(apart.labels), written: columnOf(apart.written) },
  }
}

/**
 * The tokens' weights of a step: their mean is 1, so that the means over its micro-batches and chunks, however many of
 * their tokens count, average to the mean over all that do.
 *
 * @param mask 1 where a target counts, 0 where not, [tokens]
 * @throws where none does: the mean over nothing is no loss
 */
export function weightsOfMask(mask: Float32Array): Float32Array {
  const counted = mask.reduce((sum, one) => sum + one, 0)
  if (!counted) throw new Error('a batch of which no token counts')
  return mask.map((one) => (one * mask.length) / counted)
}

/** The same of a kind of token that a step may have none of: 0 throughout then. */
function weightsOfSome(mask: Float32Array): Float32Array {
  return mask.some((one) => one > 0) ? weightsOfMask(mask) : mask
}

/** Weights as a column, [tokens, 1]. */
export function columnOf(weights: Float32Array): tf.Tensor2D {
  return tf.tensor2d(weights, [weights.length, 1])
}
