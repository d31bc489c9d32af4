import type { Experiment, Weighting } from '#contract'
import { tf } from '../backend/tf'
import { createRandom, type Random } from '../random'

/** Keeps 1 / (H + eps) finite for a teacher that is certain. Nats. */
const EPSILON = 1e-6
/** Below the weight of any token that counts. */
const LEAST = 1e-6

/** What the weights are made from; each strategy asks for what it reads only. */
export interface TeacherEvidence {
  /** H_k in nats, [tokens, K]. */
  entropies: tf.Tensor2D
  /** KL(p_k || mean of the others), nats, [tokens, K]. */
  toConsensus(): tf.Tensor2D
  /** CE_k: minus the log-probability of the label at temperature 1, nats, [tokens, K]. */
  labelLoss(): tf.Tensor2D
  /** Weights drawn by `drawWeights`, [tokens, K]. */
  drawn(): tf.Tensor2D
}

/**
 * The teachers' weights alpha, [tokens, K], rows summing to 1 (METHOD: teacher weightings).
 *
 * - `uniform`: 1 / K
 * - `fixed`: the setting's weights over their sum
 * - `entropy`: softmax over k of -H_k / T_w, the paper's
 * - `calibrated-entropy`: the same of teachers whose logits were divided by their fitted temperatures
 * - `inverse-entropy`: (1 / (H_k + eps)) / sum_j (1 / (H_j + eps))
 * - `kl-to-consensus`: softmax over k of -KL(p_k || mean of the others) / T_w
 * - `label-confidence`: (1 - softmax_k(CE_k / T_w)) / (K - 1), CA-MKD (Zhang et al. 2022); 1 for one teacher
 * - `oracle`: all weight on the lowest CE_k, shared by ties; an upper bound, as it knows the answer
 * - `random`: drawn anew every step, a control
 *
 * With granularity `sequence` or `batch`, H, KL or CE is averaged over the tokens of the sequence or of the batch
 * first, so that all of its tokens get the same weights.
 *
 * @param sequences number of sequences among the tokens; a sequence's tokens are in a row
 * @param weights of the tokens in those averages (`tokenMean`)
 */
export function weigh(
  setting: Weighting,
  evidence: TeacherEvidence,
  sequences: number,
  weights?: tf.Tensor2D,
): tf.Tensor2D {
  const { strategy, temperature } = setting
  const [tokens, teachers] = evidence.entropies.shape
  const pooled = (values: tf.Tensor2D) => pool(values, setting.granularity, sequences, weights)
  const surest = (values: tf.Tensor2D) => tf.softmax(tf.div<tf.Tensor2D>(pooled(values), -temperature))
  switch (strategy) {
    case 'uniform':
      return tf.fill([tokens, teachers], 1 / teachers)
    case 'fixed':
      return tf.tile(tf.tensor2d([fixedWeights(setting)]), [tokens, 1])
    case 'entropy':
    case 'calibrated-entropy':
      return surest(evidence.entropies)
    case 'inverse-entropy':
      return normalise(tf.reciprocal(tf.add<tf.Tensor2D>(pooled(evidence.entropies), EPSILON)))
    case 'random':
      return evidence.drawn()
  }
  if (teachers === 1) return tf.ones([tokens, 1])
  switch (strategy) {
    case 'kl-to-consensus':
      return surest(evidence.toConsensus())
    case 'label-confidence': {
      const wrong = tf.softmax(tf.div<tf.Tensor2D>(pooled(evidence.labelLoss()), temperature))
      return tf.div(tf.sub<tf.Tensor2D>(1, wrong), teachers - 1)
    }
    case 'oracle': {
      const loss = pooled(evidence.labelLoss())
      return normalise(tf.cast(tf.lessEqual(loss, tf.min(loss, -1, true)), 'float32'))
    }
  }
}

function fixedWeights({ weights = [] }: Pick<Weighting, 'weights'>): number[] {
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

/**
 * Weights of the strategy `random`: uniform on the simplex (exponentials over their sum), one draw for each token,
 * sequence or batch. Row-major [tokens, teachers].
 */
export function drawWeights(
  random: Random,
  granularity: Weighting['granularity'],
  sequences: number,
  time: number,
  teachers: number,
): Float32Array {
  const tokens = sequences * time
  const group = { token: 1, sequence: time, batch: tokens }[granularity]
  const weights = new Float32Array(tokens * teachers)
  for (let start = 0; start < tokens; start += group) {
    const draws = Array.from({ length: teachers }, () => -Math.log(1 - random.next()) + 1e-12)
    const sum = draws.reduce((a, b) => a + b)
    const row = draws.map((draw) => draw / sum)
    for (let token = start; token < start + group; token++) weights.set(row, token * teachers)
  }
  return weights
}

/**
 * The weights of the strategy `random` for a batch, [tokens * teachers]: a function of the seed and the stream's name
 * alone. Undefined for the other strategies, and without teachers.
 */
export function drawnWeights(
  { seed, weighting, train }: Pick<Experiment, 'seed' | 'weighting' | 'train'>,
  stream: string,
  sequences: number,
  teachers: number,
): Float32Array | undefined {
  if (weighting.strategy !== 'random' || !teachers) return undefined
  const random = createRandom(seed, `weighting/${stream}`)
  return drawWeights(random, weighting.granularity, sequences, train.context, teachers)
}

function normalise(weights: tf.Tensor2D): tf.Tensor2D {
  return tf.div(weights, tf.sum(weights, -1, true))
}

/** Averages [tokens, K] over sequences or the batch and spreads the mean back over the tokens. */
function pool(
  h: tf.Tensor2D,
  granularity: Weighting['granularity'],
  sequences: number,
  weights: tf.Tensor2D | undefined,
): tf.Tensor2D {
  if (granularity === 'token') return h
  const [tokens, teachers] = h.shape
  const groups = granularity === 'sequence' ? sequences : 1
  const inGroups = (table: tf.Tensor2D) => tf.reshape(table, [groups, tokens / groups, table.shape[1]])
  const mean = weights
    ? tf.div(
        tf.sum(inGroups(tf.mul(h, weights)), 1, true),
        // Of a group in which nothing counts the weights do not count either, but they are to be numbers.
        tf.maximum(tf.sum(inGroups(weights), 1, true), LEAST),
      )
    : tf.mean(inGroups(h), 1, true)
  return tf.reshape(tf.tile(mean, [1, tokens / groups, 1]), [tokens, teachers])
}
