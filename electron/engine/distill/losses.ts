import { tf } from '../backend/tf'
import { entropyOfProbabilities, logProbabilities } from './divergence'

/**
 * Cross-entropy of soft targets: mean over tokens of -sum_v p(v) log q(v), q = softmax(z / tau), nats per token.
 * Its gradient is given directly, (q - p) / (tau * tokens): autodiff would keep a chain of [tokens, vocab] tensors.
 *
 * @param logits student's z, [tokens, vocab]
 * @param p target distribution, [tokens, vocab], rows sum to 1; no gradient reaches it
 */
export function softCrossEntropy(logits: tf.Tensor2D, p: tf.Tensor2D, tau: number): tf.Scalar {
  const tokens = logits.shape[0]
  // The target stays outside the operation's inputs: it needs no gradient, not even one of zeros.
  const op = tf.customGrad((z, save) => {
    const logQ = logProbabilities(z as tf.Tensor2D, tau)
    ;(save as tf.GradSaveFunc)([logQ])
    const value = tf.div<tf.Scalar>(tf.neg(tf.sum(tf.mul(p, logQ))), tokens)
    const gradFunc = (dy: tf.Scalar, [q]: tf.Tensor[]) =>
      tf.mul(tf.sub(tf.exp(q!), p), tf.div(dy, tau * tokens))
    return { value, gradFunc }
  })
  return op(logits) as tf.Scalar
}

/**
 * L_KD = tau^2 KL(p || q), q = softmax(z / tau), mean over tokens (METHOD). The factor tau^2 keeps the size of the
 * gradient independent of tau (Hinton et al. 2015).
 */
export function distillationLoss(logits: tf.Tensor2D, p: tf.Tensor2D, tau: number): tf.Scalar {
  const own = tf.mean<tf.Scalar>(entropyOfProbabilities(p))
  return tf.mul(tf.sub(softCrossEntropy(logits, p, tau), own), tau * tau)
}

/**
 * L_CE: mean cross-entropy with the next token at temperature 1, nats per token.
 *
 * @param logits [tokens, vocab]
 * @param labels int32 [tokens]
 */
export function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  const [tokens, vocab] = logits.shape
  const op = tf.customGrad((z, save) => {
    const logQ = logProbabilities(z as tf.Tensor2D, 1)
    ;(save as tf.GradSaveFunc)([logQ])
    const value = tf.neg(tf.mean<tf.Scalar>(labelLogProbabilities(logQ, labels)))
    const gradFunc = (dy: tf.Scalar, [q]: tf.Tensor[]) => {
      const truth = tf.oneHot(labels, vocab) as tf.Tensor2D
      return tf.mul(tf.sub(tf.exp(q!), truth), tf.div(dy, tokens))
    }
    return { value, gradFunc }
  })
  return op(logits) as tf.Scalar
}

/** log q(label) of each token: [tokens] from log-probabilities [tokens, vocab]. No gradient is taken through it. */
export function labelLogProbabilities(logQ: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  const [tokens, vocab] = logQ.shape
  const offsets = tf.range(0, tokens * vocab, vocab, 'int32')
  return tf.gather(tf.reshape(logQ, [tokens * vocab]), tf.add<tf.Tensor1D>(labels, offsets))
}
