import type { RunConfig } from '#contract'

/**
 * Nobody is a beginner any more after a third of the run, but not before 30 steps and at the latest after 500: a student
 * learns the frequencies of the tokens first, and a small one by reverse KL was seen to stay there for a fifth of a run
 * that went well.
 */
const BEGINNING = { least: 30, most: 500 }

/** The step after which a student is judged by what it says: behind the warm-up and the beginning. */
export function judgedFrom({ warmup, steps }: RunConfig['experiment']['train']): number {
  return Math.max(warmup, BEGINNING.least, Math.min(steps / 3, BEGINNING.most))
}

/** A share in a sentence: `20.0 %`. */
export const percent = (share: number) => `${(share * 100).toFixed(1)} %`
