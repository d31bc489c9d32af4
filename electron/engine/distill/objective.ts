import type { Experiment } from '#contract'
import { tf } from '../backend/tf'
import type { TeacherSignal } from '../teachers/source'
import { gatedLambda } from './conflict'
import { featureLoss, type FeatureStates, type LayerPair } from './features'
import { mixedLoss, tokenCrossEntropy, tokenMean, type ApartWeights, type MixedLoss } from './losses'
import { tokenDivergence } from './studentDivergence'
import type { FusedTarget } from './teachers'

export { fuseTeachers, type FusedTarget } from './teachers'

type Setting = Pick<Experiment, 'loss'>

export interface StudentOutput extends FeatureStates {
  /** [tokens, vocab] */
  logits: tf.Tensor2D
}

/** Which parts of the loss a step trains on: all, or one of the two stages of `loss.features.first`. */
export type Stage = 'both' | 'features' | 'logits'

/** The stage of step `step`, from 1. */
export function stageOf({ loss, train }: Pick<Experiment, 'loss' | 'train'>, step: number): Stage {
  const { features } = loss
  if (features === false || features.gamma === 0 || features.first === 0) return 'both'
  return step <= Math.round(features.first * train.steps) ? 'features' : 'logits'
}

/** Per teacher: its layer pairs, its beta, and the learned maps W. */
export interface Alignment {
  beta: number | 'alpha'
  pairs: readonly LayerPair[]
  projections: readonly tf.Tensor2D[]
}

/** The loss and its parts, nats per token (the features' part in squared units of hidden states). */
export interface Objective {
  loss: tf.Scalar
  kd?: tf.Scalar
  ce: tf.Scalar
  features?: tf.Scalar
}

/**
 * L = lambda * L_KD + (1 - lambda) * L_CE + gamma * L_feat (METHOD). Without teachers, L = L_CE.
 *
 * @param labels the next tokens, int32 [tokens]
 * @param target absent without teachers
 * @param alignments per teacher; empty when features are off
 * @param weights of the tokens (`tokenMean`)
 */
export function objective(
  setting: Setting,
  student: StudentOutput,
  labels: tf.Tensor1D,
  target: FusedTarget | undefined,
  teachers: readonly TeacherSignal[],
  alignments: readonly Alignment[],
  stage: Stage = 'both',
  weights?: tf.Tensor2D,
): Objective {
  const mixed = logitLoss(setting, student.logits, labels, target, weights)
  if (!target) return mixed
  return withFeatures(setting, mixed, student, target.alpha, teachers, alignments, stage, weights)
}

/**
 * The loss of the logits and that of the features together.
 *
 * @param alpha the teachers' weights, [tokens, K]
 * @param weights of the tokens (`tokenMean`)
 */
export function withFeatures(
  setting: Setting,
  mixed: MixedLoss,
  student: FeatureStates,
  alpha: tf.Tensor2D,
  teachers: readonly FeatureStates[],
  alignments: readonly Alignment[],
  stage: Stage = 'both',
  weights?: tf.Tensor2D,
): Objective {
  const { features } = setting.loss
  if (features === false || features.gamma === 0 || stage === 'logits') return mixed
  const inputs = alignments.map(({ beta, ...rest }, k) => ({
    ...rest,
    beta: beta === 'alpha' ? meanWeight(alpha, k, weights) : beta,
    hidden: teachers[k]!.hidden,
    attention: teachers[k]!.attention,
  }))
  const alignment = featureLoss(features, student, inputs, weights)
  const scaled = tf.mul<tf.Scalar>(alignment, features.gamma)
  return { ...mixed, features: alignment, loss: stage === 'features' ? scaled : tf.add(mixed.loss, scaled) }
}

/**
 * lambda * L_KD + (1 - lambda) * L_CE by the setting's objective, lambda one for all tokens or gated; else L_CE.
 *
 * @param weights of the tokens (`tokenMean`)
 * @param apart where the student wrote some of them
 */
export function logitLoss(
  { loss }: Setting,
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  target: FusedTarget | undefined,
  weights?: tf.Tensor2D,
  apart?: ApartWeights,
): MixedLoss {
  if (!target) {
    const ce = tokenMean(tokenCrossEntropy(logits, labels), weights)
    return { loss: ce, ce }
  }
  const gated = loss.conflict === 'gate' && target.alpha.shape[1] > 1
  if (loss.objective === 'forward-kl' && !gated && !weights)
    return mixedLoss(logits, labels, target.p, tf.mean(target.entropy), loss)
  const kd = tokenDivergence(loss, logits, target.p)
  const ce = tokenCrossEntropy(logits, labels)
  const lambda = gated ? gatedLambda(loss.lambda, target.disagreement, target.alpha.shape[1]) : loss.lambda
  const taught = tf.mul<tf.Tensor2D>(kd, lambda)
  const labelled = tf.mul<tf.Tensor2D>(ce, tf.sub(1, lambda))
  if (apart) {
    return {
      loss: tf.add(tokenMean(taught, weights), tokenMean(labelled, apart.labels)),
      kd: tokenMean(kd, weights),
      ce: tokenMean(ce, apart.labels),
      written: tokenMean(ce, apart.written),
    }
  }
  const mixed = tf.add<tf.Tensor2D>(taught, labelled)
  return { loss: tokenMean(mixed, weights), kd: tokenMean(kd, weights), ce: tokenMean(ce, weights) }
}

function meanWeight(alpha: tf.Tensor2D, k: number, weights: tf.Tensor2D | undefined): tf.Scalar {
  return tokenMean(tf.slice(alpha, [0, k], [-1, 1]), weights)
}
