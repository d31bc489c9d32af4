import type { RunConfig } from '#contract'
import { tf } from '../backend/tf'
import type { Chunk } from '../distill/chunks'

/**
 * What enters the weights of teachers over a sequence or a batch, [tokens, 1], 1 where it does: of conversations the
 * tokens that count; undefined of text in windows, where all do, scored here or not, as in training.
 */
export function countedTokens(
  { corpora }: RunConfig,
  weights: Float32Array,
  { from, size }: Chunk,
): tf.Tensor2D | undefined {
  if (!corpora.some(({ reading }) => reading)) return undefined
  return tf.tensor2d(weights.subarray(from, from + size), [size, 1])
}
