import { fusedKernel } from '../backend/fused'
import { tf } from '../backend/tf'

/**
 * Log-probabilities of logits [tokens, vocab] at temperature tau: log softmax(z / tau), same shape.
 * @param normalised whether z / tau are log-probabilities already
 */
export function logProbabilities(logits: tf.Tensor2D, tau: number, normalised = false): tf.Tensor2D {
  const tempered = tau === 1 ? logits : tf.div<tf.Tensor2D>(logits, tau)
  if (normalised) return tempered
  // tfjs makes six operations of a LogSoftmax; one kernel, and its gradient, will do where there is one.
  const [fused] = fusedKernel('LogSoftmax', { logits: tempered }, { axis: -1 }) ?? []
  return (fused as tf.Tensor2D | undefined) ?? tf.logSoftmax(tempered)
}

/**
 * Entropy in nats of each row of log-probabilities [tokens, vocab]; result [tokens, 1]. Stable at any finite logits:
 * a probability that underflows to 0 meets a finite logarithm.
 */
export function entropy(logP: tf.Tensor2D): tf.Tensor2D {
  return tf.neg(rowDot(tf.exp(logP), logP))
}

/** Entropy in nats of each row of probabilities [tokens, vocab]; result [tokens, 1]. 0 log 0 is 0. */
export function entropyOfProbabilities(p: tf.Tensor2D): tf.Tensor2D {
  return tf.neg(rowDot(p, safeLog(p)))
}

/**
 * KL(p_k || p), nats per token, [tokens, 1]; a token to which p gives nothing counts as one of probability 1e-37.
 *
 * @param logP log p_k, [tokens, vocab]
 * @param own H(p_k), [tokens, 1]
 * @param p [tokens, vocab]
 */
export function divergenceTo(logP: tf.Tensor2D, own: tf.Tensor2D, p: tf.Tensor2D): tf.Tensor2D {
  const cross = tf.neg(rowDot(tf.exp(logP), safeLog(p)))
  return tf.relu(tf.sub<tf.Tensor2D>(cross, own))
}

/** The sums over each row of a * b: [tokens, vocab] both to [tokens, 1]. */
export function rowDot(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  const [fused] = fusedKernel('RowDot', { a, b }) ?? []
  return (fused as tf.Tensor2D | undefined) ?? tf.sum<tf.Tensor2D>(tf.mul(a, b), -1, true)
}

/** log p, finite where p is 0. */
export function safeLog(p: tf.Tensor2D): tf.Tensor2D {
  return tf.log(atLeastSmallest(p))
}

/** p where it is above the smallest that divides and has a logarithm. */
export function atLeastSmallest(p: tf.Tensor2D): tf.Tensor2D {
  return tf.maximum(p, SMALLEST)
}

/** Close to float32's smallest normal number: its logarithm is finite, and multiplied by a p below it vanishes. */
const SMALLEST = 1e-37

/**
 * Generalised Jensen-Shannon divergence of the teachers under alpha, in nats per token (METHOD: disagreement):
 * D = H(sum_k alpha_k p_k) - sum_k alpha_k H(p_k), 0 <= D <= log K.
 *
 * @param mixtureEntropy entropy of the arithmetic mixture, [tokens, 1]
 * @param alpha [tokens, K]
 * @param entropies H_k, [tokens, K]
 * @returns [tokens, 1]
 */
export function disagreement(
  mixtureEntropy: tf.Tensor2D,
  alpha: tf.Tensor2D,
  entropies: tf.Tensor2D,
): tf.Tensor2D {
  return tf.relu(tf.sub(mixtureEntropy, tf.sum(tf.mul(alpha, entropies), -1, true)))
}
