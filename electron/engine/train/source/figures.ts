import { z } from 'zod'
import type { WrittenFigures } from '#contract'

/** Words of a piece that is looked for twice. */
const GRAM = 4

const natural = z.number().int().nonnegative()

/** A sequence that the student wrote, as a checkpoint keeps it. */
export const written = z.strictObject({
  prompt: z.array(natural),
  /** With the token that ended it, if one did. */
  ids: z.array(natural).min(1),
  ended: z.boolean(),
  /** What the student that wrote it gave its tokens, at temperature 1, nats: their mean log-probability. */
  logProbability: z.number(),
  /** When it was written. */
  step: z.number().int().positive(),
  /** Which of the run's corpora its prompt is from, and where in its ids that begins. */
  corpus: natural,
  start: natural,
})
export type Written = z.output<typeof written>
export const keptWritings = z.array(written)

/** Tokens without the end. */
export const lengthOf = ({ ids, ended }: Pick<Written, 'ids' | 'ended'>): number =>
  ids.length - (ended ? 1 : 0)

/** Different 4-grams among all of a sequence's, 0..1 (Li et al. 2016); undefined of one that has none. */
export function distinctOf(ids: readonly number[]): number | undefined {
  const count = ids.length - GRAM + 1
  if (count < 1) return undefined
  const grams = new Set(Array.from({ length: count }, (_, i) => ids.slice(i, i + GRAM).join(' ')))
  return grams.size / count
}

/**
 * What a step learned of what the student wrote.
 *
 * @param loss minus the log-probability that the learning student gives a written token, mean, nats
 */
export function writtenFigures(written: readonly Written[], step: number, loss: number): WrittenFigures {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const share = (which: (one: Written) => boolean) => written.filter(which).length / written.length
  const tokens = written.reduce((sum, { ids }) => sum + ids.length, 0)
  const known = written.flatMap((one) => distinctOf(one.ids.slice(0, lengthOf(one))) ?? [])
  const before =
    written.reduce((sum, { ids, logProbability }) => sum + ids.length * logProbability, 0) / tokens
  return {
    sequences: written.length,
    tokens,
    length: mean(written.map(lengthOf)),
    ended: share(({ ended }) => ended),
    empty: share((one) => lengthOf(one) === 0),
    ...(known.length && { distinct: mean(known) }),
    age: mean(written.map((one) => step - one.step)),
    gap: before + loss,
  }
}
