import type { Experiment, RunConfig } from '#contract'
import { tf } from '../backend/tf'
import { logProbabilities } from './divergence'
import { labelLogProbabilities, tokenCrossEntropy, type ApartWeights, type MixedLoss } from './losses'
import { logitLoss } from './objective'
import type { FusedTarget } from './teachers'

/** What a teacher of another tokenizer says of a chunk of the student's tokens. */
export interface ForeignTarget {
  /** Its share of the teachers' part of the loss. */
  share: number
  /**
   * How much the comparison at each of the student's tokens counts: 0 where no compared span begins; their mean over a
   * step's tokens is 1. [tokens, 1]
   */
  weights: tf.Tensor2D
  /** Of `spans`: the span of each token, as the place of the span's first token, int32 [tokens]. */
  spans?: tf.Tensor1D
  /** Of `spans`, at the places where one begins: the teacher's log-probability of its text, nats, [tokens, 1]. */
  logP?: tf.Tensor2D
  /** Of `uld`, at the places where a span begins: how what comes next compares, rank by rank. */
  ranked?: Ranked
}

/** The student's probabilities at tau against a teacher's of the same rank. */
export interface Ranked {
  /** Sum of the absolute differences over the ranks, [tokens, 1]. */
  distance: tf.Tensor2D
  /** -1, 0 or 1: that of the difference at each of the student's tokens, [tokens, vocab]; where a gradient is wanted. */
  signs?: tf.Tensor2D
}

/** What the teachers' parts of the loss are shared by: the fused target's share, and that of each foreign teacher. */
export interface Shares {
  own: number
  foreign: number[]
}

/**
 * Shares of the teachers' part of the loss, which sum to 1: of each teacher the same, or with the weighting `fixed` its
 * weight. The teachers that have the student's tokenizer are one fused target, weighed among themselves by the
 * strategy, with the sum of their shares. Entropies of distributions over other vocabularies do not compare, so they
 * decide nothing between the two kinds.
 */
export function teacherShares(config: Taught): Shares {
  const { weighting, teachers } = config.experiment
  const places = placesOf(config)
  const weights = weighting.strategy === 'fixed' ? weighting.weights! : teachers.map(() => 1)
  const sum = weights.reduce((a, b) => a + b, 0)
  const foreign = places.map((place) => weights[place]! / sum)
  const own = weights.filter((_, place) => !places.includes(place))
  return { own: own.reduce((a, b) => a + b, 0) / sum, foreign }
}

/** The weighting of the teachers that have the student's tokenizer. */
export function ownWeighting(config: Taught): Experiment['weighting'] {
  const { weighting } = config.experiment
  const places = placesOf(config)
  if (!weighting.weights || !places.length) return weighting
  return { ...weighting, weights: weighting.weights.filter((_, place) => !places.includes(place)) }
}

type Taught = Pick<RunConfig, 'experiment' | 'foreign'>

/** Of the foreign teachers among the definition's. */
const placesOf = ({ foreign = [] }: Taught) => foreign.map(({ place }) => place)

/**
 * L = lambda * (s L_KD + w sum_j s_j L_j) + (1 - lambda) * L_CE: s and s_j the shares, L_j the distance to foreign
 * teacher j, w the setting's weight. Without foreign teachers what `logitLoss` gives.
 *
 * @param logits student's z, [tokens, vocab]
 * @param labels the next tokens, int32 [tokens]
 * @param target of the teachers that have the student's tokenizer; absent when there are none
 * @param weights of the tokens (`tokenMean`); those of `foreign` have been made of them
 * @param apart where the student wrote some of them, which foreign teachers do not read
 */
export function lossWithForeign(
  setting: Pick<Experiment, 'loss'>,
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  target: FusedTarget | undefined,
  own: number,
  foreign: readonly ForeignTarget[],
  weights?: tf.Tensor2D,
  apart?: ApartWeights,
): MixedLoss {
  if (!foreign.length) return logitLoss(setting, logits, labels, target, weights, apart)
  const { loss } = setting
  // lambda s L_KD + (1 - lambda) L_CE is a mean of the two with other weights, but for a factor.
  const scale = target ? loss.lambda * own + 1 - loss.lambda : 1 - loss.lambda
  const lambda = target ? (loss.lambda * own) / scale : 0
  const mixed = logitLoss({ loss: { ...loss, lambda } }, logits, labels, target, weights)
  const distances = foreign.map((teacher) => foreignDistance(loss, logits, labels, teacher))
  const sum = distances
    .map((distance, j) => tf.mul<tf.Scalar>(distance, foreign[j]!.share))
    .reduce((a, b) => tf.add(a, b))
  const weighed = tf.mul(sum, loss.lambda * loss.foreign.weight)
  return {
    ...mixed,
    loss: tf.add(tf.mul(mixed.loss, scale), weighed),
    foreign: tf.stack(distances) as tf.Tensor1D,
  }
}

/** L_j: the mean over the compared places, nats for `spans`. */
function foreignDistance(
  { tau }: Pick<Experiment['loss'], 'tau'>,
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  teacher: ForeignTarget,
): tf.Scalar {
  return tf.mean(tf.mul(distances({ tau }, logits, labels, teacher), teacher.weights))
}

/** The distance at each token where a compared span begins, [tokens, 1]; elsewhere it means nothing. */
export function distances(
  { tau }: Pick<Experiment['loss'], 'tau'>,
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  { spans, logP, ranked }: ForeignTarget,
): tf.Tensor2D {
  if (ranked) return rankedDistance(logits, ranked, tau)
  const logQ = sumBySpan(tf.neg(tokenCrossEntropy(logits, labels)), spans!)
  return binaryDivergence(logQ, logP!, tau)
}

/** Sums of [tokens, 1] by span, each at the place of the span's first token. */
export function sumBySpan(values: tf.Tensor2D, spans: tf.Tensor1D): tf.Tensor2D {
  const op = tf.customGrad((x) => ({
    value: tf.unsortedSegmentSum(x as tf.Tensor2D, spans, values.shape[0]) as tf.Tensor2D,
    gradFunc: (dy: tf.Tensor2D) => tf.gather(dy, spans),
  }))
  return op(values) as tf.Tensor2D
}

/** Keeps the logarithm of 1 - p finite where p is 1. */
const EPSILON = 1e-6

/**
 * tau KL((a, 1 - a) || (b, 1 - b)) with a = p^(1 / tau) and b = q^(1 / tau): binarised likelihood matching (ALM,
 * Minixhofer et al. 2025). The factor tau keeps the size of the gradient independent of tau:
 * d / d log q = (b - a) / (1 - b).
 *
 * @param logQ log of the student's probability of a span's text, [spans, 1]
 * @param logP the teacher's; no gradient reaches it
 * @returns nats, [spans, 1]
 */
export function binaryDivergence(logQ: tf.Tensor2D, logP: tf.Tensor2D, tau: number): tf.Tensor2D {
  const tempered = (log: tf.Tensor) => tf.minimum<tf.Tensor2D>(tf.div(log, tau), -EPSILON)
  const rest = (log: tf.Tensor2D) => tf.neg<tf.Tensor2D>(tf.expm1(log))
  const op = tf.customGrad((x, save) => {
    const [p, q] = [tempered(logP), tempered(x as tf.Tensor)]
    ;(save as tf.GradSaveFunc)([p, q])
    const yes = tf.mul(tf.exp(p), tf.sub(p, q))
    const no = tf.mul(rest(p), tf.sub(tf.log(rest(p)), tf.log(rest(q))))
    const gradFunc = (dy: tf.Tensor2D, [logA, logB]: tf.Tensor[]) =>
      tf.mul(tf.div(tf.sub(tf.exp(logB!), tf.exp(logA!)), rest(logB as tf.Tensor2D)), dy)
    return { value: tf.mul<tf.Tensor2D>(tf.add(yes, no), tau), gradFunc }
  })
  return op(logQ) as tf.Tensor2D
}

/**
 * tau times the L1 distance of the sorted probabilities, the shorter row padded with zeros: universal logit
 * distillation (ULD, Boizard et al. 2024), whose optimal transport between vocabularies of unknown relation comes to
 * that. The sorting has been done (./ranks); the gradient is that of the sign of each rank's difference, at the token of
 * that rank.
 *
 * @param logits student's z, [tokens, vocab]; q = softmax(z / tau)
 * @returns [tokens, 1], 0 to 2 tau
 */
export function rankedDistance(logits: tf.Tensor2D, { distance, signs }: Ranked, tau: number): tf.Tensor2D {
  const op = tf.customGrad((z, save) => {
    ;(save as tf.GradSaveFunc)([z as tf.Tensor])
    const gradFunc = (dy: tf.Tensor2D, [saved]: tf.Tensor[]) => {
      const q = tf.exp<tf.Tensor2D>(logProbabilities(saved as tf.Tensor2D, tau))
      const inner = tf.mul<tf.Tensor2D>(q, signs!)
      return tf.mul(tf.sub(inner, tf.mul(q, rowSum(inner))), dy)
    }
    return { value: tf.mul<tf.Tensor2D>(distance, tau), gradFunc }
  })
  return op(logits) as tf.Tensor2D
}

/** The parts of a chunk, where its student and teacher tokens are. */
export interface ForeignChunk {
  /** The teacher's logits of the chunk's sequences, [teacher tokens, its vocab]. */
  logits: tf.Tensor2D
  /** Its next tokens, int32 [teacher tokens]. */
  targets: tf.Tensor1D
  /** Spans of student's tokens and of teacher's, int32; a teacher's token of none has the number of student's tokens. */
  spans: tf.Tensor1D
  teacherSpans: tf.Tensor1D
  /** [tokens, 1] */
  weights: tf.Tensor2D
}

/** What a foreign teacher says of a chunk's spans. */
export function spanTarget(
  share: number,
  { logits, targets, spans, teacherSpans, weights }: ForeignChunk,
): ForeignTarget {
  const tokens = spans.shape[0]
  const said = labelLogProbabilities(logProbabilities(logits, 1), targets)
  const sums = tf.unsortedSegmentSum(said, teacherSpans, tokens + 1)
  const logP = tf.reshape(tf.slice(sums, [0], [tokens]), [-1, 1]) as tf.Tensor2D
  return { share, weights, spans, logP }
}

const rowSum = (table: tf.Tensor): tf.Tensor2D => tf.sum<tf.Tensor2D>(table, -1, true)
