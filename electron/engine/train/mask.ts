import { tf } from '../backend/tf'

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

/** Weights as a column, [tokens, 1]. */
export function columnOf(weights: Float32Array): tf.Tensor2D {
  return tf.tensor2d(weights, [weights.length, 1])
}
