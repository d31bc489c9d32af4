import { tf } from '../backend/tf'
import { entropyOfProbabilities, logProbabilities, rowDot } from './divergence'

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
    const value = tf.div<tf.Scalar>(tf.neg(tf.sum(rowDot(p, logQ))), tokens)
    const gradFunc = (dy: tf.Scalar, [q]: tf.Tensor[]) =>
      tf.mul(tf.sub(tf.exp(q!), p), tf.div(dy, tau * tokens))
    return { value, gradFunc }
  })
  return op(logits) as tf.Scalar
}

/**
 * L_KD = tau^2 KL(p || q), q = softmax(z / tau), mean over tokens (METHOD). The factor tau^2 keeps the size of the
 * gradient independent of tau (Hinton et al. 2015).
 *
 * @param own mean entropy of p, a constant of the loss, where it is known already
 */
export function distillationLoss(
  logits: tf.Tensor2D,
  p: tf.Tensor2D,
  tau: number,
  own: tf.Scalar = tf.mean(entropyOfProbabilities(p)),
): tf.Scalar {
  return tf.mul(tf.sub(softCrossEntropy(logits, p, tau), own), tau * tau)
}

/**
 * L_CE: mean cross-entropy with the next token at temperature 1, nats per token.
 *
 * @param logits [tokens, vocab]
 * @param labels int32 [tokens]
 */
export function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  return tf.mean(tokenCrossEntropy(logits, labels))
}

/** L_CE of each token, [tokens, 1]. */
export function tokenCrossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  const op = tf.customGrad((z, save) => {
    const logQ = logProbabilities(z as tf.Tensor2D, 1)
    ;(save as tf.GradSaveFunc)([logQ])
    const value = tf.reshape(tf.neg(labelLogProbabilities(logQ, labels)), [-1, 1]) as tf.Tensor2D
    const gradFunc = (dy: tf.Tensor2D, [q]: tf.Tensor[]) =>
      tf.mul(subtractAtLabels(tf.exp(q as tf.Tensor2D), labels, 1), dy)
    return { value, gradFunc }
  })
  return op(logits) as tf.Tensor2D
}

/**
 * The mean over tokens of what is said of each, weighed.
 *
 * @param values [tokens, n]
 * @param weights [tokens, 1], whose mean over a step's tokens is 1, 0 for those that do not count; absent: all alike
 */
export function tokenMean(values: tf.Tensor2D, weights: tf.Tensor2D | undefined): tf.Scalar {
  return tf.mean(weights ? tf.mul(values, weights) : values)
}

/**
 * Of a step of which the student writes a part: what the labels count where the text is from a corpus, and what is told
 * of the text that it wrote; [tokens, 1] each, as of `tokenMean`, or 0 throughout where there is nothing of the kind.
 */
export interface ApartWeights {
  labels: tf.Tensor2D
  written: tf.Tensor2D
}

/** L = lambda * L_KD + (1 - lambda) * L_CE, and its parts for the record. */
export interface MixedLoss {
  loss: tf.Scalar
  /** Minus the student's log-probability of what it wrote, nats a token; where it wrote some of the text. */
  written?: tf.Scalar
  /** Absent without teachers. */
  kd?: tf.Scalar
  ce: tf.Scalar
  /** KL to the student's earlier self, where it is retained. */
  retention?: tf.Scalar
  /** Distance to each teacher of another tokenizer, [teachers]. */
  foreign?: tf.Tensor1D
}

/**
 * `distillationLoss` and `crossEntropy` together. At tau = 1, as they are added, both gradients are one:
 * (q - lambda p - (1 - lambda) onehot) / tokens; that saves half the passes over [tokens, vocab].
 *
 * @param logits student's z, [tokens, vocab]
 * @param labels int32 [tokens]
 * @param p target distribution at tau, [tokens, vocab]
 * @param own mean entropy of p, nats
 */
export function mixedLoss(
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  p: tf.Tensor2D,
  own: tf.Scalar,
  { lambda, tau }: { lambda: number; tau: number },
): MixedLoss {
  const kd = distillationLoss(logits, p, tau, own)
  const ce = crossEntropy(logits, labels)
  const mix = () => tf.add<tf.Scalar>(tf.mul(kd, lambda), tf.mul(ce, 1 - lambda))
  if (tau !== 1) return { loss: mix(), kd, ce }
  const tokens = logits.shape[0]
  const op = tf.customGrad((z, save) => {
    ;(save as tf.GradSaveFunc)([logProbabilities(z as tf.Tensor2D, 1)])
    const gradFunc = (dy: tf.Scalar, [logQ]: tf.Tensor[]) => {
      const q = tf.exp(logQ as tf.Tensor2D)
      const soft = lambda === 0 ? q : tf.sub<tf.Tensor2D>(q, tf.mul(p, lambda))
      return tf.mul(subtractAtLabels(soft, labels, 1 - lambda), tf.div(dy, tokens))
    }
    return { value: mix(), gradFunc }
  })
  return { loss: op(logits) as tf.Scalar, kd, ce }
}

/** log q(label) of each token: [tokens] from log-probabilities [tokens, vocab]. No gradient is taken through it. */
export function labelLogProbabilities(logQ: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  return tf.gather(tf.reshape(logQ, [logQ.size]), labelPositions(logQ.shape, labels))
}

/** Where each token's label is in the flattened [tokens, vocab]. */
function labelPositions([tokens, vocab]: [number, number], labels: tf.Tensor1D): tf.Tensor1D {
  return tf.add(labels, tf.range(0, tokens * vocab, vocab, 'int32'))
}

/** The table less `amount` at each row's label: what a one-hot matrix would do in three passes more. */
function subtractAtLabels(table: tf.Tensor2D, labels: tf.Tensor1D, amount: number): tf.Tensor2D {
  if (amount === 0) return table
  const flat = tf.reshape(table, [table.size])
  const positions = labelPositions(table.shape, labels)
  const updates = tf.sub(tf.gather(flat, positions), amount)
  const updated = tf.tensorScatterUpdate(flat, tf.reshape(positions, [-1, 1]), updates)
  return tf.reshape(updated, table.shape)
}
