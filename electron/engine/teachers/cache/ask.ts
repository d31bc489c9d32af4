import { tf } from '../../backend/tf'
import { chunksOf } from '../../distill/chunks'
import { entropy, logProbabilities } from '../../distill/divergence'
import { labelLogProbabilities } from '../../distill/losses'
import { positionsOf } from '../../model/packed'
import type { TeacherSource } from '../source'
import type { TokenIds } from './answers'

/** Logits computed at a time, 64 MB of them: bounds a pass whose answers nobody needs in one graph. */
export const LOGITS = 1 << 24

interface Question extends TokenIds {
  /** Tokens a sequence. */
  context: number
  /** The hidden states that are asked for. */
  layers: readonly number[]
  /** Of the log-probabilities and the entropy. */
  tau: number
  /** Whether it is asked for its last states alone: the head is not multiplied. */
  states?: boolean
}

/**
 * What a teacher says of a batch, read from the device: log-probabilities [tokens, vocab], the layers' states
 * [tokens, width], then entropy and the label's log-probability of each token; or its last states, then the layers'. A
 * large batch is asked in chunks of whole
 * sequences.
 *
 * @param logits at most so many at a time, if a sequence has no more
 */
export async function askTeacher(
  teacher: TeacherSource,
  { inputs, targets, positions, context, layers, tau, states = false }: Question,
  logits = LOGITS,
): Promise<Float32Array[]> {
  const pieces: Float32Array[][] = []
  teacher.announce?.(inputs)
  for (const { from, size } of chunksOf(inputs.length / context, context, teacher.row.model.vocab, {
    logits,
    whole: true,
  })) {
    const ids = inputs.subarray(from, from + size)
    await teacher.prepare?.(ids)
    const outputs = tf.tidy((): tf.Tensor[] => {
      const own = positionsOf(positions?.subarray(from, from + size), context)
      const signal = teacher.signal(tf.tensor2d(ids, [size / context, context], 'int32'), { positions: own })
      const hidden = layers.map((layer) => signal.hidden[layer]!)
      if (states) return [signal.final!.normal, ...hidden]
      const logP = logProbabilities(signal.logits, tau)
      const labels = tf.tensor1d(targets.subarray(from, from + size), 'int32')
      const labelLogP = labelLogProbabilities(logProbabilities(signal.logits, 1), labels)
      return [logP, ...hidden, entropy(logP), labelLogP]
    })
    pieces.push((await Promise.all(outputs.map((tensor) => tensor.data()))) as Float32Array[])
    tf.dispose(outputs)
  }
  return pieces.length === 1 ? pieces[0]! : pieces[0]!.map((_, i) => joined(pieces.map((piece) => piece[i]!)))
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
