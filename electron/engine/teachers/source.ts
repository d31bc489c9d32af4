import type { ServerHealth, Teacher } from '#contract'
import type { tf } from '../backend/tf'
import type { Final } from '../model/forward'

/** What a teacher says of a batch of token ids. */
export interface TeacherSignal {
  /** [tokens, vocab] */
  readonly logits: tf.Tensor2D
  /** The temperature t at which logits / t are log-probabilities as they are, where there is one. */
  normalisedAt?: number
  /** What the logits are made of, where it is known. Some of them cost less. */
  final?: Final
  /**
   * What the teacher itself said, where it is known, [tokens, 1] each, nats: its entropy at the run's tau, and minus the
   * label's log-probability at temperature 1.
   */
  statistics?: { entropy?: tf.Tensor2D; labelLoss: tf.Tensor2D }
  /** Embedding output and each layer's, [tokens, width] each. A cached teacher has those that were asked for. */
  hidden: tf.Tensor2D[]
  /** Each layer's attention probabilities, [sequences, heads, time, time]; only where they were asked for. */
  attention?: tf.Tensor4D[]
}

export interface SignalOptions {
  /** Whether its attention is asked for. */
  attention?: boolean
  /** Of each token in its example, int32 [sequences, time], where a sequence holds several; models of ours alone read so. */
  positions?: tf.Tensor2D
}

/** Which of its batches a run reads next. */
export interface Reading {
  /** `train`, or the id of the corpus whose held-out windows are read. */
  split: string
  /** From 0. */
  batch: number
  /** Of the batch's tokens the first that is asked for; `signal` gets those from there on. */
  first: number
}

/**
 * Where a teacher's signals come from. The losses do not know whether a teacher is computed now or read from a cache.
 */
export interface TeacherSource {
  readonly row: Teacher
  /** Of one that others compute: what `prepare` is going to be given, piece by piece, so that it can begin. */
  announce?(inputs: Int32Array): void
  /**
   * Fetches or computes what `signal` is going to say; awaited before every graph that asks for a signal.
   *
   * @param inputs the ids that it is going to be asked, [sequences * time]
   * @param reading where they stand; absent for what is of no split
   */
  prepare?(inputs: Int32Array, reading?: Reading): Promise<void>
  /**
   * What has been prepared: all that `signal` says is made of these arrays, in the same way each time. Undefined where
   * it is made of more.
   */
  prepared?(): readonly Float32Array[] | undefined
  /**
   * @param tokens int32 [sequences, time]; called inside a tidy, with no gradient taken
   */
  signal(tokens: tf.Tensor2D, options?: SignalOptions): TeacherSignal
  /** Of one behind a server how that does, once it was asked. */
  server?(): ServerHealth | undefined
  dispose(): void
}

/** Before a graph that asks all of them: one after the other, so that they share the machine and its memory. */
export async function prepareTeachers(
  teachers: readonly Pick<TeacherSource, 'prepare'>[],
  inputs: Int32Array,
  reading?: Reading,
): Promise<void> {
  for (const teacher of teachers) await teacher.prepare?.(inputs, reading)
}
