import type { Halving } from '#contract'

/** Settings compete as a whole, all seeds together: a mean over the seeds that happened to survive would be biased. */
export interface Competitor {
  key: string
  /** Rungs that it may run past: 0 ends at the first, as many as there are is to the end. */
  allowed: number
  /** Mean over its seeds at each rung that all of them have come to; infinite at the next when one of them has failed. */
  scores: number[]
}

/**
 * Steps at which a competitor is judged: `minSteps`, and so on by the factor of the reduction, below the whole run.
 */
export function rungsOf({ minSteps, reduction }: Halving, steps: number): number[] {
  const rungs: number[] = []
  for (let step = minSteps; step < steps; step *= reduction) rungs.push(step)
  return rungs
}

/**
 * Asynchronous successive halving (ASHA: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"): of
 * those that have come to a rung the best 1 / reduction go on, without waiting for the rest. Once nobody else can come
 * to a rung at least one goes on.
 *
 * @param lower whether less is better
 * @returns those that may go on now, each one rung further than before
 */
export function promotions(
  competitors: readonly Competitor[],
  rungs: number,
  reduction: number,
  lower = true,
): Competitor[] {
  const promoted: Competitor[] = []
  let closed = true
  for (let rung = 0; rung < rungs; rung++) {
    const here = ranking(competitors, rung, lower)
    closed &&= competitors.every(({ allowed, scores }) => allowed < rung || scores.length > rung)
    const quota = Math.max(closed ? 1 : 0, Math.floor(here.length / reduction))
    const chosen = here
      .slice(0, quota)
      .filter(({ allowed, scores }) => allowed === rung && Number.isFinite(scores[rung]))
    promoted.push(...chosen)
    // Who goes on now comes to the next rung later.
    closed &&= chosen.length === 0
  }
  return promoted
}

/** Those that have come to a rung, the best first; of equal ones the first of the grid. */
export function ranking(competitors: readonly Competitor[], rung: number, lower: boolean): Competitor[] {
  const cost = ({ scores }: Competitor) => {
    const score = scores[rung]!
    return lower || !Number.isFinite(score) ? score : -score
  }
  return competitors.filter(({ scores }) => scores.length > rung).sort((a, b) => compare(cost(a), cost(b)))
}

/** Infinite ones are equal: their difference is not a number. */
const compare = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1)
