import { comparedTokens, type RunConfig } from '#contract'
import { chunksOfSize, type Chunk } from '../distill/chunks'

/**
 * The chunks that a run's student and teachers are compared in.
 *
 * @param teachers that have the student's tokenizer
 * @param foreign teachers of other tokenizers
 */
export function chunksFor(
  config: Pick<RunConfig, 'experiment' | 'student'>,
  sequences: number,
  teachers: number,
  foreign: number,
): Chunk[] {
  const { context } = config.experiment.train
  return chunksOfSize(sequences * context, comparedTokens(config, sequences, teachers, foreign))
}
