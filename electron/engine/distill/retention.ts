import type { Experiment } from '#contract'
import { tf } from '../backend/tf'
import { finalLogits, type Final } from '../model/forward'
import { rowsOf, type Chunk } from './chunks'
import { logProbabilities } from './divergence'
import { distillationLoss, tokenMean, type MixedLoss } from './losses'
import { tokenKl } from './studentDivergence'

/**
 * What the student's earlier self says of a chunk at the setting's tau, [tokens, vocab]; undefined where nothing is to be
 * retained.
 *
 * @param earlier what its logits are made of, for all tokens
 */
export function retainedTarget(
  { continue: continued }: Pick<Experiment, 'continue'>,
  earlier: Final | undefined,
  chunk: Chunk,
): tf.Tensor2D | undefined {
  const setting = continued?.retention
  if (!earlier || !setting) return undefined
  const before = finalLogits({ ...earlier, normal: rowsOf(earlier.normal, chunk) })
  return tf.exp<tf.Tensor2D>(logProbabilities(before, setting.tau))
}

/**
 * The loss of a chunk with weight * tau^2 KL(earlier self || student) added, where there is something to retain.
 *
 * @param target of `retainedTarget`
 * @param weights of the tokens (`tokenMean`)
 */
export function withRetention(
  { continue: continued }: Pick<Experiment, 'continue'>,
  mixed: MixedLoss,
  logits: tf.Tensor2D,
  target: tf.Tensor2D | undefined,
  weights?: tf.Tensor2D,
): MixedLoss {
  const setting = continued?.retention
  if (!target || !setting) return mixed
  const retention = weights
    ? tokenMean(tokenKl(setting.tau, logits, target), weights)
    : distillationLoss(logits, target, setting.tau)
  return { ...mixed, retention, loss: tf.add(mixed.loss, tf.mul(retention, setting.weight)) }
}
