import type { RunConfig } from '#contract'
import { chunksOf, type Chunk } from '../distill/chunks'

/**
 * The chunks that a run's student and teachers are compared in. One where what is said of a token depends on tokens of
 * other sequences, whole sequences where on others of its own.
 *
 * @param teachers that have the student's tokenizer
 * @param foreign teachers of other tokenizers
 */
export function chunksFor(
  { experiment: { train, weighting, loss }, student }: Pick<RunConfig, 'experiment' | 'student'>,
  sequences: number,
  teachers: number,
  foreign: number,
): Chunk[] {
  const together = weighting.granularity === 'batch' || loss.conflict === 'drop'
  if (together && teachers) return [{ from: 0, size: sequences * train.context }]
  const whole = weighting.granularity === 'sequence' || foreign > 0
  return chunksOf(sequences, train.context, student.vocab, { whole })
}
