import { tf } from '../backend/tf'

/**
 * alpha with the weight taken from the (token, teacher) pairs whose divergence is above a quantile of all of them, and
 * the rest scaled to a sum of 1 (METHOD: `drop`). A token whose teachers would all go keeps its weights.
 *
 * @param alpha [tokens, K]
 * @param divergences KL of each teacher to the fused target, [tokens, K]
 * @param quantile between 0 and 1: 0.9 drops at most a tenth of the pairs
 * @param weights of the tokens (`tokenMean`): the quantile is of those that count
 */
export function dropOutliers(
  alpha: tf.Tensor2D,
  divergences: tf.Tensor2D,
  quantile: number,
  weights?: tf.Tensor2D,
): tf.Tensor2D {
  const limit = weights ? limitAmong(divergences, quantile, weights) : limitOfAll(divergences, quantile)
  const kept = tf.mul<tf.Tensor2D>(alpha, tf.cast(tf.lessEqual(divergences, limit), 'float32'))
  const sum = tf.sum<tf.Tensor2D>(kept, -1, true)
  const some = tf.greater(sum, 0)
  const scaled = tf.div<tf.Tensor2D>(kept, tf.where(some, sum, tf.onesLike(sum)))
  return tf.where(tf.tile(some, [1, alpha.shape[1]]), scaled, alpha)
}

/** The smallest of the largest 1 - quantile of the divergences. */
function limitOfAll(divergences: tf.Tensor2D, quantile: number): tf.Tensor {
  const size = divergences.size
  const above = Math.max(1, Math.ceil((1 - quantile) * size))
  const largest = tf.topk(tf.reshape(divergences, [size]), above).values
  return tf.slice(largest, [above - 1], [1])
}

/** The same of the tokens with a weight: how many they are enters as a tensor. */
function limitAmong(divergences: tf.Tensor2D, quantile: number, weights: tf.Tensor2D): tf.Tensor {
  const [tokens, teachers] = divergences.shape
  const counted = tf.cast(tf.greater(weights, 0), 'float32')
  // A divergence is not negative: those that do not count come last.
  const known = tf.add<tf.Tensor2D>(tf.mul(divergences, counted), tf.sub(counted, 1))
  const largest = tf.topk(tf.reshape(known, [tokens * teachers]), tokens * teachers).values
  const above = tf.ceil(tf.mul(tf.sum(counted), (1 - quantile) * teachers))
  return tf.gather(largest, tf.cast(tf.reshape(tf.sub(tf.maximum(above, 1), 1), [1]), 'int32'))
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
