import type { Loss } from '#contract'
import { tf } from '../backend/tf'
import { atLeastSmallest, logProbabilities, safeLog } from './divergence'

/** A divergence of one row: its value in nats, and its gradient with respect to the student's z / tau. */
interface Divergence {
  /** [tokens, 1] */
  value: tf.Tensor2D
  /** [tokens, vocab] */
  gradient: tf.Tensor2D
}

type Rule = (p: tf.Tensor2D, logQ: tf.Tensor2D, setting: Pick<Loss, 'beta' | 'skew' | 'topK'>) => Divergence

/**
 * The divergences between target p and student q, by objective. With f(q) = D and s = z / tau, the gradient is
 * dD/ds = q (f' - sum_v q f').
 */
const rules: Record<Loss['objective'], Rule> = {
  'forward-kl': (p, logQ) => forwardKl(p, logQ),

  /** KL(q || p), MiniLLM's (Gu et al. 2024), without its policy sampling: f' = log q - log p. */
  'reverse-kl': (p, logQ) => {
    const q = tf.exp<tf.Tensor2D>(logQ)
    const slope = tf.sub<tf.Tensor2D>(logQ, safeLog(p))
    const value = rowSum(tf.mul(q, slope))
    return { value, gradient: tf.mul(q, tf.sub<tf.Tensor2D>(slope, value)) }
  },

  /**
   * Generalised Jensen-Shannon divergence (GKD, Agarwal et al. 2024): beta KL(p || m) + (1 - beta) KL(q || m) with
   * m = beta p + (1 - beta) q: f' = (1 - beta) log(q / m).
   */
  jsd: (p, logQ, { beta }) => {
    const q = tf.exp<tf.Tensor2D>(logQ)
    const logM = safeLog(mixture(p, q, beta))
    const fromP = rowSum(tf.mul(p, tf.sub(safeLog(p), logM)))
    const slope = tf.sub<tf.Tensor2D>(safeLog(q), logM)
    const fromQ = rowSum(tf.mul(q, slope))
    const value = tf.add<tf.Tensor2D>(tf.mul(fromP, beta), tf.mul(fromQ, 1 - beta))
    return { value, gradient: tf.mul(tf.mul(q, tf.sub<tf.Tensor2D>(slope, fromQ)), 1 - beta) }
  },

  /** KL(p || m) with m = skew p + (1 - skew) q (DistiLLM, Ko et al. 2024): f' = -(1 - skew) p / m. */
  'skewed-kl': (p, logQ, { skew }) => {
    const q = tf.exp<tf.Tensor2D>(logQ)
    const m = mixture(p, q, skew)
    const value = rowSum(tf.mul(p, tf.sub(safeLog(p), safeLog(m))))
    const slope = tf.mul<tf.Tensor2D>(tf.div(p, atLeastSmallest(m)), skew - 1)
    return { value, gradient: centred(q, slope) }
  },

  /** KL(q || m) with m = (1 - skew) p + skew q (the same): f' = log(q / m) - skew q / m, but for a constant. */
  'skewed-reverse-kl': (p, logQ, { skew }) => {
    const q = tf.exp<tf.Tensor2D>(logQ)
    const m = mixture(p, q, 1 - skew)
    const apart = tf.sub<tf.Tensor2D>(safeLog(q), safeLog(m))
    const share = tf.mul<tf.Tensor2D>(tf.div(q, atLeastSmallest(m)), skew)
    return { value: rowSum(tf.mul(q, apart)), gradient: centred(q, tf.sub(apart, share)) }
  },

  'top-k': (p, logQ, { topK }) => forwardKl(likeliest(p, topK), logQ),
}

/** share p + (1 - share) q */
function mixture(p: tf.Tensor2D, q: tf.Tensor2D, share: number): tf.Tensor2D {
  return tf.add(tf.mul<tf.Tensor2D>(p, share), tf.mul(q, 1 - share))
}

/** q (f' - sum_v q f') */
function centred(q: tf.Tensor2D, slope: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(q, tf.sub<tf.Tensor2D>(slope, rowSum(tf.mul(q, slope))))
}

/** KL(p || q): f' = -p / q, whose gradient is q - p. */
function forwardKl(p: tf.Tensor2D, logQ: tf.Tensor2D): Divergence {
  const value = rowSum(tf.mul(p, tf.sub(safeLog(p), logQ)))
  return { value, gradient: tf.sub(tf.exp<tf.Tensor2D>(logQ), p) }
}

/** p on its k likeliest tokens of each row (ties with the k-th stay), scaled to a sum of 1. */
export function likeliest(p: tf.Tensor2D, k: number): tf.Tensor2D {
  if (k >= p.shape[1]) return p
  const limit = tf.slice(tf.topk(p, k).values, [0, k - 1], [-1, 1])
  const kept = tf.mul<tf.Tensor2D>(p, tf.cast(tf.greaterEqual(p, limit), 'float32'))
  return tf.div(kept, rowSum(kept))
}

/**
 * tau^2 D(p, q) of each token, [tokens, 1], q = softmax(z / tau), with its gradient given directly.
 *
 * @param logits student's z, [tokens, vocab]
 * @param p target distribution at tau, [tokens, vocab]; no gradient reaches it
 */
export function tokenDivergence(
  { objective, tau, ...setting }: Pick<Loss, 'objective' | 'tau' | 'beta' | 'skew' | 'topK'>,
  logits: tf.Tensor2D,
  p: tf.Tensor2D,
): tf.Tensor2D {
  return tempered(logits, tau, (logQ) => rules[objective](p, logQ, setting))
}

/** tau^2 KL(p || q) of each token, [tokens, 1]. */
export function tokenKl(tau: number, logits: tf.Tensor2D, p: tf.Tensor2D): tf.Tensor2D {
  return tempered(logits, tau, (logQ) => forwardKl(p, logQ))
}

/** tau^2 times a divergence from q = softmax(z / tau). */
function tempered(logits: tf.Tensor2D, tau: number, from: (logQ: tf.Tensor2D) => Divergence): tf.Tensor2D {
  const op = tf.customGrad((z, save) => {
    const { value, gradient } = from(logProbabilities(z as tf.Tensor2D, tau))
    ;(save as tf.GradSaveFunc)([gradient])
    const gradFunc = (dy: tf.Tensor2D, [g]: tf.Tensor[]) => tf.mul(g!, tf.mul(dy, tau))
    return { value: tf.mul<tf.Tensor2D>(value, tau * tau), gradFunc }
  })
  return op(logits) as tf.Tensor2D
}

const rowSum = (table: tf.Tensor): tf.Tensor2D => tf.sum<tf.Tensor2D>(table, -1, true)
