import { seedless, type HeldOutDocument, type Run, type RunConfig } from '#contract'
import { type Difference, holm, isReal, pairedBootstrap, type ScoreUnit } from './statistics'

/** What grouping needs of a run. */
export interface GroupableRun {
  row: Run
  config: RunConfig
  /** Of the last evaluation; empty when the run never came to it. */
  documents: readonly HeldOutDocument[]
}

/** Runs that differ in nothing but their seed. */
export interface Method<R extends GroupableRun = GroupableRun> {
  label: string
  /** One a seed: the one that came furthest, of equals the first. */
  runs: R[]
  /** The others: they say nothing of chance that those have not said, and count in nothing. */
  repeats: R[]
}

/** Runs gathered by everything but name and seed, in the order of their first. */
export function gatherMethods<R extends GroupableRun>(runs: readonly R[]): Method<R>[] {
  const byKey = new Map<string, Method<R>>()
  for (const run of runs) {
    const { name: _, seed: __, ...settings } = run.config.experiment
    const corpora = run.config.corpora.map(({ row }) => row.digest)
    const key = JSON.stringify([settings, corpora, run.config.tokenizer.digest])
    const label = seedless(run.row.name)
    const method = byKey.get(key) ?? { label, runs: [], repeats: [] }
    byKey.set(key, method)
    const at = method.runs.findIndex(({ row }) => row.seed === run.row.seed)
    if (at < 0) method.runs.push(run)
    else if (method.runs[at]!.row.step >= run.row.step) method.repeats.push(run)
    else method.repeats.push(...method.runs.splice(at, 1, run))
  }
  return [...byKey.values()]
}

/** A difference of cross-entropy between two methods, judged within its family. */
export interface Verdict {
  first: string
  second: string
  difference: Difference
  /** p after Holm's correction over the family. */
  corrected: number
  /** False: no difference. */
  real: boolean
}

/**
 * Compares pairs of methods by their scores on the documents that both were evaluated on; the pairs are one family.
 * Undefined in place of a pair that shares no seed or no document, or whose tokens are of other tokenizers: these do not
 * compare.
 */
export function judgePairs(
  pairs: readonly (readonly [Method, Method])[],
  { unit = 'crossEntropy', replicates }: { unit?: ScoreUnit; replicates?: number } = {},
): (Verdict | undefined)[] {
  const compared = pairs.map(([first, second]) => {
    const sameTokens = tokensOf(first) === tokensOf(second)
    if (unit === 'crossEntropy' && !sameTokens) return undefined
    return pairedBootstrap(scoresOf(first), scoresOf(second), unit, { replicates })
  })
  const corrected = holm(compared.flatMap((difference) => (difference ? [difference.p] : [])))
  let at = 0
  return compared.map((difference, i) => {
    if (!difference) return undefined
    const [first, second] = pairs[i]!
    const p = corrected[at++]!
    return {
      first: first.label,
      second: second.label,
      difference,
      corrected: p,
      real: isReal(difference, p),
    }
  })
}

/** As `judgePairs`, of those that compare. */
export function judge(pairs: readonly (readonly [Method, Method])[]): Verdict[] {
  return judgePairs(pairs).filter((verdict) => verdict !== undefined)
}

const tokensOf = ({ runs }: Method) => runs[0]!.config.tokenizer.digest

function scoresOf({ runs }: Method): Map<number, readonly HeldOutDocument[]> {
  return new Map(runs.map(({ row, documents }) => [row.seed, documents]))
}
