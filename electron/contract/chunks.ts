import type { RunConfig } from './run'

/**
 * How a batch is cut where student and teachers are compared: the tables [tokens, vocabulary] of one chunk exist at a
 * time. The engine computes so, and a run's memory is foretold by it.
 */

/** Logits of a chunk: what a table of them takes, 4 MB, stays in a core's caches from one pass to the next. */
const LOGITS = 1 << 20
/** Tokens of a chunk at the least, if a sequence has as many: for fewer the head would be read too often. */
const TOKENS = 128

/**
 * Tokens of a chunk, all of equally many: whole sequences, or, where a sequence has too many logits and may be cut, an
 * equal part of one.
 *
 * @param time tokens a sequence
 * @param logits at most so many in a chunk, if it can be cut so far
 * @param whole whether what is said of a token depends on others of its sequence
 */
export function chunkTokens(
  sequences: number,
  time: number,
  vocab: number,
  { logits = LOGITS, whole = false } = {},
): number {
  const wanted = Math.ceil((sequences * time * vocab) / logits)
  let count = Math.min(wanted, sequences)
  while (sequences % count) count++
  const size = (sequences / count) * time
  return !whole && size === time ? partOfSequence(time, logits / vocab) : size
}

/** The largest equal part of a sequence of at most so many tokens, but no shorter than a chunk has to be. */
function partOfSequence(time: number, most: number): number {
  let size = time
  for (let parts = 2; size > most && time / parts >= TOKENS; parts++)
    if (time % parts === 0) size = time / parts
  return size
}

/**
 * Tokens of the chunks that a run's student and teachers are compared in: all of them where what is said of a token
 * depends on tokens of other sequences, whole sequences where on others of its own.
 *
 * @param teachers that have the student's tokenizer
 * @param foreign teachers of other tokenizers
 */
export function comparedTokens(
  { experiment: { train, weighting, loss }, student }: Pick<RunConfig, 'experiment' | 'student'>,
  sequences: number,
  teachers: number,
  foreign: number,
): number {
  const together = weighting.granularity === 'batch' || loss.conflict === 'drop'
  if (together && teachers) return sequences * train.context
  const whole = weighting.granularity === 'sequence' || foreign > 0
  return chunkTokens(sequences, train.context, student.vocab, { whole })
}
