import type { Experiment } from '#contract'
import { tf } from '../backend/tf'
import type { TeacherSignal } from '../teachers/source'
import { disagreement, entropy, entropyOfProbabilities, logProbabilities } from './divergence'
import { featureLoss, type LayerPair } from './features'
import { fuse } from './fusion'
import { crossEntropy, mixedLoss } from './losses'
import { weigh } from './weighting'

type Setting = Pick<Experiment, 'weighting' | 'loss'>

/** What several teachers say together of the same tokens. */
export interface FusedTarget {
  /** p, [tokens, vocab] */
  p: tf.Tensor2D
  /** [tokens, K] */
  alpha: tf.Tensor2D
  /** H_k at tau, nats, [tokens, K] */
  entropies: tf.Tensor2D
  /** H(p), nats, [tokens, 1] */
  entropy: tf.Tensor2D
  /** Generalised Jensen-Shannon divergence, nats, [tokens, 1] */
  disagreement: tf.Tensor2D
}

/** Weighs and fuses the teachers' distributions at temperature tau. `sequences`: sequences among the tokens. */
export function fuseTeachers(
  setting: Experiment['weighting'],
  tau: number,
  logits: readonly tf.Tensor2D[],
  sequences: number,
): FusedTarget {
  const logP = logits.map((z) => logProbabilities(z, tau))
  const entropies = logP.length === 1 ? entropy(logP[0]!) : tf.concat(logP.map(entropy), 1)
  const alpha = weigh(setting, entropies, sequences)
  const p = fuse(setting.fusion, logP, alpha)
  const own = entropyOfProbabilities(p)
  const mixture =
    setting.fusion === 'arithmetic' ? own : entropyOfProbabilities(fuse('arithmetic', logP, alpha))
  return { p, alpha, entropies, entropy: own, disagreement: disagreement(mixture, alpha, entropies) }
}

export interface StudentOutput {
  /** [tokens, vocab] */
  logits: tf.Tensor2D
  /** Embedding output and each layer's, [tokens, width]. */
  hidden: readonly tf.Tensor2D[]
}

/** Per teacher: its layer pairs, its beta, and the learned maps W. */
export interface Alignment {
  beta: number
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
 */
export function objective(
  setting: Setting,
  student: StudentOutput,
  labels: tf.Tensor1D,
  target: FusedTarget | undefined,
  teachers: readonly TeacherSignal[],
  alignments: readonly Alignment[],
): Objective {
  if (!target) {
    const ce = crossEntropy(student.logits, labels)
    return { loss: ce, ce }
  }
  const { features } = setting.loss
  const {
    loss: mixed,
    kd,
    ce,
  } = mixedLoss(student.logits, labels, target.p, tf.mean(target.entropy), setting.loss)
  if (features === false || features.gamma === 0) return { loss: mixed, kd, ce }
  const inputs = alignments.map((a, k) => ({ ...a, hidden: teachers[k]!.hidden }))
  const alignment = featureLoss(features.distance, student.hidden, inputs)
  return { loss: tf.add(mixed, tf.mul(alignment, features.gamma)), kd, ce, features: alignment }
}
