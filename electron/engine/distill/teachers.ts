import type { Experiment } from '#contract'
import { tf } from '../backend/tf'
import type { TeacherSignal } from '../teachers/source'
import { dropOutliers } from './conflict'
import { disagreement, divergenceTo, entropy, entropyOfProbabilities, logProbabilities } from './divergence'
import { fuse } from './fusion'
import { labelLogProbabilities } from './losses'
import { weigh, type TeacherEvidence } from './weighting'

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
  /** Generalised Jensen-Shannon divergence under alpha, before a conflict drops teachers; nats, [tokens, 1] */
  disagreement: tf.Tensor2D
}

/** What some settings need beside the logits. */
export interface FusionContext {
  /** The next tokens, int32 [tokens]: for the weightings that look at them. */
  labels?: tf.Tensor1D
  /** Of the tokens (`tokenMean`), [tokens, 1]: for what is averaged over them. */
  weights?: tf.Tensor2D
  /** Of the tokens, int32 [sequences, time], where a sequence holds several examples. */
  positions?: tf.Tensor2D
  /** Of the weightings `random` and `routed`, [tokens, K]. */
  drawn?: tf.Tensor2D
  /** Per teacher what it said itself, where that is known. */
  statistics?: readonly TeacherSignal['statistics'][]
  /** Per teacher the temperature at which its logits need no normalising, where there is one. */
  normalisedAt?: readonly (number | undefined)[]
  /** Of the weighting `calibrated-entropy`, by teacher: its logits are divided by it. */
  temperatures?: readonly number[]
  /** How conflicts between teachers are settled. */
  conflict?: Pick<Experiment['loss'], 'conflict' | 'quantile'>
}

/** Weighs and fuses the teachers' distributions at temperature tau. `sequences`: sequences among the tokens. */
export function fuseTeachers(
  setting: Experiment['weighting'],
  tau: number,
  logits: readonly tf.Tensor2D[],
  sequences: number,
  context: FusionContext = {},
): FusedTarget {
  const { labels, weights, positions, drawn, temperatures, conflict } = context
  const { statistics = [], normalisedAt = [] } = context
  const logP = logits.map((z, k) => {
    const temperature = tau * (temperatures?.[k] ?? 1)
    return logProbabilities(z, temperature, normalisedAt[k] === temperature)
  })
  // What a teacher said of itself is of its own distribution, not of a calibrated one.
  const said = temperatures ? [] : statistics
  const entropies = columns(logP.map((l, k) => said[k]?.entropy ?? entropy(l)))
  const evidence: TeacherEvidence = {
    entropies,
    toConsensus: () => toConsensus(logP, entropies),
    labelLoss: () =>
      columns(logits.map((z, k) => statistics[k]?.labelLoss ?? labelLoss(z, required(labels, 'labels')))),
    drawn: () => required(drawn, 'drawn weights'),
  }
  let alpha = weigh(setting, evidence, sequences, weights, positions)
  let p = fuse(setting.fusion, logP, alpha)
  let own = entropyOfProbabilities(p)
  const mixture =
    setting.fusion === 'arithmetic' ? own : entropyOfProbabilities(fuse('arithmetic', logP, alpha))
  const apart = disagreement(mixture, alpha, entropies)
  if (conflict?.conflict === 'drop' && logits.length > 1) {
    const kl = columns(logP.map((l, k) => divergenceTo(l, column(entropies, k), p)))
    alpha = dropOutliers(alpha, kl, conflict.quantile, weights)
    p = fuse(setting.fusion, logP, alpha)
    own = entropyOfProbabilities(p)
  }
  return { p, alpha, entropies, entropy: own, disagreement: apart }
}

/** KL(p_k || mean of the others' p), nats, [tokens, K]. */
function toConsensus(logP: readonly tf.Tensor2D[], entropies: tf.Tensor2D): tf.Tensor2D {
  const p = logP.map((l) => tf.exp<tf.Tensor2D>(l))
  // Sums of those before and of those after: taking p_k from the sum of all would leave its rounding, not the others.
  const before = running(p)
  const after = running([...p].reverse()).reverse()
  const kl = logP.map((l, k) => {
    const parts = [before[k - 1], after[k + 1]].filter((part) => part !== undefined)
    const others = tf.div<tf.Tensor2D>(
      parts.length > 1 ? tf.add(parts[0]!, parts[1]!) : parts[0]!,
      p.length - 1,
    )
    return divergenceTo(l, column(entropies, k), others)
  })
  return columns(kl)
}

/** The sums of the first 1, 2, ... tensors. */
function running(tensors: readonly tf.Tensor2D[]): tf.Tensor2D[] {
  const sums: tf.Tensor2D[] = []
  for (const tensor of tensors) sums.push(sums.length ? tf.add(sums.at(-1)!, tensor) : tensor)
  return sums
}

function labelLoss(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  return tf.reshape(tf.neg(labelLogProbabilities(logProbabilities(logits, 1), labels)), [-1, 1])
}

const columns = (parts: tf.Tensor2D[]): tf.Tensor2D => (parts.length === 1 ? parts[0]! : tf.concat(parts, 1))

const column = (table: tf.Tensor2D, k: number): tf.Tensor2D =>
  table.shape[1] === 1 ? table : tf.slice(table, [0, k], [-1, 1])

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`this weighting needs the ${what}`)
  return value
}
