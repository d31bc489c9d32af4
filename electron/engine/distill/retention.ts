import type { Experiment } from '#contract'
import { tf } from '../backend/tf'
import { finalLogits, type Final } from '../model/forward'
import { rowsOf, type Chunk } from './chunks'
import { logProbabilities } from './divergence'
import { distillationLoss, type MixedLoss } from './losses'

/**
 * The loss of a chunk with weight * tau^2 KL(earlier self || student) added, where there is something to retain.
 *
 * @param earlier what the logits of the student's earlier self are made of, for all tokens
 */
export function withRetention(
  { continue: continued }: Pick<Experiment, 'continue'>,
  mixed: MixedLoss,
  logits: tf.Tensor2D,
  earlier: Final | undefined,
  chunk: Chunk,
): MixedLoss {
  const setting = continued?.retention
  if (!earlier || !setting) return mixed
  const before = finalLogits({ ...earlier, normal: rowsOf(earlier.normal, chunk) })
  const p = tf.exp<tf.Tensor2D>(logProbabilities(before, setting.tau))
  const retention = distillationLoss(logits, p, setting.tau)
  return { ...mixed, retention, loss: tf.add(mixed.loss, tf.mul(retention, setting.weight)) }
}
