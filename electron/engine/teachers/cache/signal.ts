import { hiddenWidth, stateWidth, type ModelConfig, type Teacher } from '#contract'
import { tf } from '../../backend/tf'
import { finalLogits, type Head } from '../../model/forward'
import type { TeacherSignal } from '../source'
import type { Block } from './answers'

export interface Asked {
  row: Teacher
  /** The run's. */
  tau: number
  /** Of a block of states. */
  head?: Head
  /** The tokens of the block that are asked for. */
  first: number
  rows: number
}

/** What a block says of some of its tokens; called inside a tidy. */
export function signalOf(block: Block, { row, tau, head, first, rows }: Asked): TeacherSignal {
  const part = (data: Float32Array, width: number) =>
    tf.tensor2d(data.subarray(first * width, (first + rows) * width), [rows, width])
  const hidden: tf.Tensor2D[] = []
  for (const [layer, data] of block.hidden) hidden[layer] = part(data, hiddenWidth(row.model))
  if (block.states) {
    const final = { ...head!, normal: part(block.states, stateWidth(row.model as ModelConfig)) }
    let logits: tf.Tensor2D | undefined
    return {
      final,
      hidden,
      get logits() {
        return (logits ??= finalLogits(final))
      },
    }
  }
  const { statistics, temperature } = block
  const labelLoss = tf.neg<tf.Tensor2D>(part(statistics.subarray(statistics.length / 2), 1))
  return {
    logits: part(block.logits!, row.model.vocab),
    normalisedAt: temperature,
    hidden,
    statistics: {
      labelLoss,
      ...(temperature === tau && { entropy: part(statistics.subarray(0, statistics.length / 2), 1) }),
    },
  }
}
