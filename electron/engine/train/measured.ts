import { measuredOf, type StepRecord } from '#contract'
import { tf } from '../backend/tf'
import type { FusedTarget, Objective } from '../distill/objective'
import { tokenMean, type MixedLoss } from '../distill/losses'

/** What a step computes, before the clock is added. */
export type StepMetrics = Omit<StepRecord, 'tokens' | 'seconds' | 'tokensPerSecond'>

/** What of it the device tells. */
export interface Measured extends Omit<StepMetrics, 'step' | 'learningRate' | 'written'> {
  /** Minus the student's log-probability of what it wrote, nats a token. */
  writtenLoss?: number
}

/** The terms of the loss before their weights, kept beyond the graph of the gradients: kd, ce, features, retention, written, foreign... */
export function keptLosses(o: Objective & Pick<MixedLoss, 'retention' | 'written' | 'foreign'>): tf.Tensor[] {
  const kept = (part: tf.Tensor | undefined) => tf.keep(part ? tf.clone(part) : tf.scalar(0))
  const losses = [o.kd, o.ce, o.features, o.retention, o.written].map(kept)
  return o.foreign ? [...losses, kept(o.foreign)] : losses
}

/** What is told of the teachers of some tokens, [tokens, ...] each. */
export type TeacherWeights = Pick<FusedTarget, 'alpha' | 'entropies' | 'disagreement'>

export function weightsOf({ alpha, entropies, disagreement }: FusedTarget): TeacherWeights {
  return { alpha, entropies, disagreement }
}

/**
 * One vector, so that a step reads from the device once: [loss, kd, ce, features, retention, written, foreign..., disagreement,
 * alpha..., entropy...], the last three as means over the tokens where there are teachers.
 *
 * @param losses of `keptLosses`; disposed of
 * @param weights of the tokens (`tokenMean`)
 */
export function measuredVector(
  loss: tf.Tensor,
  losses: readonly tf.Tensor[],
  fused: readonly TeacherWeights[],
  weights?: tf.Tensor2D,
): tf.Tensor1D {
  const means = fused.length ? summary(fused, weights) : []
  const vector = tf.concat([loss, ...losses, ...means].map((t) => tf.reshape(t, [-1])))
  tf.dispose([...losses])
  return vector as tf.Tensor1D
}

/** Means over the tokens: disagreement, alpha per teacher, entropy per teacher. */
function summary(fused: readonly TeacherWeights[], weights: tf.Tensor2D | undefined): tf.Tensor[] {
  const alpha = joined(fused, ({ alpha }) => alpha)!
  const apart = joined(fused, ({ disagreement }) => disagreement)!
  const entropies = joined(fused, ({ entropies }) => entropies)!
  const columns = (table: tf.Tensor2D) => tf.mean(weights ? tf.mul(table, weights) : table, 0)
  return [tokenMean(apart, weights), columns(alpha), columns(entropies)]
}

/** A table of all tokens from those of the chunks; undefined without any. */
export function joined(
  fused: readonly TeacherWeights[],
  of: (weights: TeacherWeights) => tf.Tensor2D,
): tf.Tensor2D | undefined {
  const tables = fused.map(of)
  return tables.length > 1 ? tf.concat(tables) : tables[0]
}

/** Where in the vector the foreign teachers' distances begin. */
const FOREIGN = 6

/** The vector's numbers by name. What is absent from the run is left out. */
export function readMeasured(
  values: ArrayLike<number>,
  norm: number,
  run: {
    teachers: number
    foreign: number
    features: boolean
    retention: boolean
    /** Whether each teacher was asked for its own sequences alone: its entropy is of those. */
    routed: boolean
  },
  /** Of a step of which the student wrote a part, whether labels count in it. */
  written?: { labelled: boolean },
): Measured {
  const at = (i: number) => measuredOf(values[i]!)
  const measured: Measured = { loss: at(0), gradNorm: measuredOf(norm) }
  if (written?.labelled ?? true) measured.ce = at(2)
  if (written) measured.writtenLoss = values[5]!
  if (run.retention) measured.retention = at(4)
  if (run.foreign) measured.foreign = Array.from({ length: run.foreign }, (_, j) => at(FOREIGN + j))
  const count = run.teachers
  if (!count) return measured
  const next = FOREIGN + run.foreign
  measured.kd = at(1)
  if (run.features) measured.features = at(3)
  measured.disagreement = at(next)
  measured.alpha = Array.from({ length: count }, (_, k) => at(next + 1 + k))
  measured.teacherEntropy = Array.from({ length: count }, (_, k) =>
    run.routed ? measuredOf(values[next + 1 + count + k]! / values[next + 1 + k]!) : at(next + 1 + count + k),
  )
  return measured
}
