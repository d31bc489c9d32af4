import type { Weighting } from '#contract'
import { tf } from '../backend/tf'

/** Keeps 1 / (H + eps) finite for a teacher that is certain. Nats. */
const EPSILON = 1e-6

/**
 * The teachers' weights alpha, [tokens, K], rows summing to 1 (METHOD: symbols and equations).
 *
 * - `uniform`: 1 / K
 * - `entropy`: softmax over k of -H_k / T_w, the paper's
 * - `inverse-entropy`: (1 / (H_k + eps)) / sum_j (1 / (H_j + eps))
 *
 * With granularity `sequence` or `batch`, H is averaged over the tokens of the sequence or of the batch first, so that
 * all of its tokens get the same weights.
 *
 * @param entropies H_k in nats, [tokens, K], tokens = sequences x time, a sequence's tokens in a row
 * @param sequences number of sequences among the tokens
 */
export function weigh(setting: Weighting, entropies: tf.Tensor2D, sequences: number): tf.Tensor2D {
  const [tokens, teachers] = entropies.shape
  if (setting.strategy === 'uniform') return tf.fill([tokens, teachers], 1 / teachers)
  const h = pool(entropies, setting.granularity, sequences)
  if (setting.strategy === 'entropy') return tf.softmax(tf.div<tf.Tensor2D>(h, -setting.temperature))
  const inverse = tf.reciprocal(tf.add<tf.Tensor2D>(h, EPSILON))
  return tf.div(inverse, tf.sum(inverse, -1, true))
}

/** Averages [tokens, K] over sequences or the batch and spreads the mean back over the tokens. */
function pool(h: tf.Tensor2D, granularity: Weighting['granularity'], sequences: number): tf.Tensor2D {
  if (granularity === 'token') return h
  const [tokens, teachers] = h.shape
  const groups = granularity === 'sequence' ? sequences : 1
  const grouped = tf.reshape(h, [groups, tokens / groups, teachers])
  const mean = tf.mean(grouped, 1, true)
  return tf.reshape(tf.tile(mean, [1, tokens / groups, 1]), [tokens, teachers])
}
