import { routedTeachers, type Experiment, type Weighting } from '#contract'
import { tf } from '../backend/tf'
import { sameExample } from '../model/packed'
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
  /** Weights that are there before a teacher speaks (`drawnWeights`), [tokens, K]. */
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
 * - `routed`: all weight on the teacher that the sequence's corpus is routed to
 *
 * With granularity `sequence` or `batch`, H, KL or CE is averaged over the tokens of the sequence or of the batch
 * first, so that all of its tokens get the same weights.
 *
 * @param sequences number of sequences among the tokens; a sequence's tokens are in a row
 * @param weights of the tokens in those averages (`tokenMean`)
 * @param positions of the tokens, int32 [sequences, time], where a sequence holds several examples: each is averaged over
 * by itself
 */
export function weigh(
  setting: Weighting,
  evidence: TeacherEvidence,
  sequences: number,
  weights?: tf.Tensor2D,
  positions?: tf.Tensor2D,
): tf.Tensor2D {
  const { strategy, temperature } = setting
  const [tokens, teachers] = evidence.entropies.shape
  const pooled = (values: tf.Tensor2D) =>
    setting.granularity === 'sequence' && positions
      ? pooledByExample(values, positions, weights)
      : pool(values, setting.granularity, sequences, weights)
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
    case 'routed':
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
 *
 * @param positions of the tokens, where a sequence holds several examples: each has a draw of its own
 */
export function drawWeights(
  random: Random,
  granularity: Weighting['granularity'],
  sequences: number,
  time: number,
  teachers: number,
  positions?: Int32Array,
): Float32Array {
  const tokens = sequences * time
  const group = { token: 1, sequence: time, batch: tokens }[granularity]
  const begins = (token: number) =>
    token % group === 0 || (granularity === 'sequence' && positions?.[token] === 0)
  const weights = new Float32Array(tokens * teachers)
  let row: number[] = []
  for (let token = 0; token < tokens; token++) {
    if (begins(token)) {
      const draws = Array.from({ length: teachers }, () => -Math.log(1 - random.next()) + 1e-12)
      const sum = draws.reduce((a, b) => a + b)
      row = draws.map((draw) => draw / sum)
    }
    weights.set(row, token * teachers)
  }
  return weights
}

/** A batch whose teachers' weights are there before a teacher speaks. */
export interface DrawnBatch {
  /** Names the random stream. */
  stream: string
  /** Of all its sequences. */
  tokens: number
  /** Tokens a sequence. */
  time: number
  teachers: number
  /** Which of the experiment's corpora each sequence is from, or all of them are. */
  corpora: ArrayLike<number> | number | undefined
  /** Of the tokens, where a sequence holds several examples. */
  positions?: Int32Array
}

/**
 * The weights of a batch that no teacher's word decides, [tokens * teachers]: of `random` a function of the seed and the
 * stream's name alone, of `routed` of the corpora. Undefined for the other strategies, and without teachers.
 */
export function drawnWeights(
  experiment: Pick<Experiment, 'seed' | 'weighting' | 'corpus' | 'teachers'>,
  batch: DrawnBatch,
): Float32Array | undefined {
  const { seed, weighting } = experiment
  const { stream, tokens, time, teachers, positions } = batch
  if (!teachers) return undefined
  if (weighting.strategy === 'routed') return routedWeights(routedTeachers(experiment), batch)
  if (weighting.strategy !== 'random') return undefined
  const random = createRandom(seed, `weighting/${stream}`)
  return drawWeights(random, weighting.granularity, tokens / time, time, teachers, positions)
}

/** @param routes each corpus' teacher */
function routedWeights(
  routes: readonly number[],
  { tokens, time, teachers, corpora }: DrawnBatch,
): Float32Array {
  if (corpora === undefined) throw new Error('routed teachers need the corpus of each sequence')
  const weights = new Float32Array(tokens * teachers)
  for (let token = 0; token < tokens; token++) {
    const corpus = typeof corpora === 'number' ? corpora : corpora[Math.floor(token / time)]!
    weights[token * teachers + routes[corpus]!] = 1
  }
  return weights
}

/**
 * The mean weight of each teacher where the strategy says it of any text, [teachers]: of `random` all alike, of `routed`
 * the share of the text that is its own. Undefined for the other strategies.
 *
 * @param drawn what each corpus is drawn by
 */
export function meanDrawn(
  { corpus, teachers, weighting }: Experiment,
  drawn: readonly number[],
): number[] | undefined {
  if (weighting.strategy === 'random') return teachers.map(() => 1 / teachers.length)
  if (weighting.strategy !== 'routed') return undefined
  const routes = routedTeachers({ corpus, teachers, weighting })
  const total = drawn.reduce((sum, weight) => sum + weight, 0)
  return teachers.map((_, k) =>
    drawn.reduce((sum, weight, i) => sum + (routes[i] === k ? weight / total : 0), 0),
  )
}

function normalise(weights: tf.Tensor2D): tf.Tensor2D {
  return tf.div(weights, tf.sum(weights, -1, true))
}

/** Averages [tokens, K] over the examples that sequences hold and spreads the means back over the tokens. */
function pooledByExample(h: tf.Tensor2D, positions: tf.Tensor2D, weights?: tf.Tensor2D): tf.Tensor2D {
  const [sequences, time] = positions.shape
  const same = sameExample(positions)
  const summed = (table: tf.Tensor2D) =>
    tf.matMul<tf.Tensor3D>(same, tf.reshape(table, [sequences, time, table.shape[1]]))
  const counted = weights ?? tf.ones([sequences * time, 1])
  const mean = tf.div(summed(tf.mul(h, counted)), tf.maximum(summed(counted as tf.Tensor2D), LEAST))
  return tf.reshape(mean, h.shape)
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
