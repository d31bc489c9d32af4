import type { Teacher } from '#contract'
import type { tf } from '../backend/tf'

/** What a teacher says of a batch of token ids. */
export interface TeacherSignal {
  /** [tokens, vocab] */
  logits: tf.Tensor2D
  /** Embedding output and each layer's, [tokens, width] each. */
  hidden: tf.Tensor2D[]
  /** Each layer's attention probabilities, [sequences, heads, time, time]; only where they were asked for. */
  attention?: tf.Tensor4D[]
}

/**
 * Where a teacher's signals come from. The losses do not know whether a teacher is computed now or read from a cache.
 */
export interface TeacherSource {
  readonly row: Teacher
  /**
   * @param tokens int32 [sequences, time]; called inside a tidy, with no gradient taken
   */
  signal(tokens: tf.Tensor2D, options?: { attention?: boolean }): TeacherSignal
  dispose(): void
}
