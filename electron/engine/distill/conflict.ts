import { tf } from '../backend/tf'

/**
 * alpha with the weight taken from the (token, teacher) pairs whose divergence is above a quantile of all of them, and
 * the rest scaled to a sum of 1 (METHOD: `drop`). A token whose teachers would all go keeps its weights.
 *
 * @param alpha [tokens, K]
 * @param divergences KL of each teacher to the fused target, [tokens, K]
 * @param quantile between 0 and 1: 0.9 drops at most a tenth of the pairs
 */
export function dropOutliers(alpha: tf.Tensor2D, divergences: tf.Tensor2D, quantile: number): tf.Tensor2D {
  const size = divergences.size
  const above = Math.max(1, Math.ceil((1 - quantile) * size))
  const largest = tf.topk(tf.reshape(divergences, [size]), above).values
  const limit = tf.slice(largest, [above - 1], [1])
  const kept = tf.mul<tf.Tensor2D>(alpha, tf.cast(tf.lessEqual(divergences, limit), 'float32'))
  const sum = tf.sum<tf.Tensor2D>(kept, -1, true)
  const some = tf.greater(sum, 0)
  const scaled = tf.div<tf.Tensor2D>(kept, tf.where(some, sum, tf.onesLike(sum)))
  return tf.where(tf.tile(some, [1, alpha.shape[1]]), scaled, alpha)
}

/**
 * lambda of each token: scaled by 1 - D / log K, so that the ground truth decides where teachers contradict each other
 * (METHOD: `gate`). Between 0 and lambda.
 *
 * @param disagreement D in nats, [tokens, 1]
 */
export function gatedLambda(lambda: number, disagreement: tf.Tensor2D, teachers: number): tf.Tensor2D {
  if (teachers === 1) return tf.fill(disagreement.shape, lambda)
  const contradiction = tf.minimum<tf.Tensor2D>(tf.div(disagreement, Math.log(teachers)), 1)
  return tf.mul(tf.sub<tf.Tensor2D>(1, contradiction), lambda)
}
