import type { HeldOutDocument } from '#contract'
import { createRandom } from '../files'

/** Replicates of a bootstrap: enough for a Holm-corrected p among a hundred comparisons. */
const REPLICATES = 10_000
/** Two-sided level of intervals and verdicts. */
export const LEVEL = 0.05

/** The per-document scores of one method, a list a seed. */
export type SeedScores = ReadonlyMap<number, readonly HeldOutDocument[]>

/** A difference with what chance makes of it. */
export interface Difference {
  /** First less second, in the unit of the score. */
  value: number
  /** 95 % percentile interval. */
  low: number
  high: number
  /** Two-sided, not corrected. */
  p: number
  seeds: number
  documents: number
}

/** What a document's score is divided by: cross-entropy in nats per token, or bits per byte. */
export type ScoreUnit = 'crossEntropy' | 'bitsPerByte'

/**
 * Difference of two methods with a paired bootstrap over seeds and held-out documents (Efron and Tibshirani 1993;
 * pairing as in Koehn 2004). A replicate draws seeds with replacement, then documents with replacement within each
 * corpus; both methods get the same draws, and all seeds of a replicate the same documents, for they were scored on the
 * same ones. The seeds that both methods have are paired; with one seed only the documents are drawn.
 *
 * @returns undefined when the two share no seed or no document
 */
export function pairedBootstrap(
  first: SeedScores,
  second: SeedScores,
  unit: ScoreUnit = 'crossEntropy',
  { seed = 1, replicates = REPLICATES } = {},
): Difference | undefined {
  const paired = pair(first, second, unit)
  if (!paired) return undefined
  const { seeds, documents, strata, sums, weights } = paired
  const random = createRandom(seed, 'paired-bootstrap')
  const counts = new Uint32Array(documents)
  const draws = new Float64Array(replicates)
  for (let r = 0; r < replicates; r++) {
    counts.fill(0)
    for (const { start, size } of strata) {
      for (let i = 0; i < size; i++) counts[start + random.integer(size)]!++
    }
    let sum = 0
    for (let s = 0; s < seeds; s++) {
      const row = sums[seeds === 1 ? 0 : random.integer(seeds)]!
      for (let d = 0; d < documents; d++) sum += counts[d]! * row[d]!
    }
    let weight = 0
    for (let d = 0; d < documents; d++) weight += counts[d]! * weights[d]!
    draws[r] = sum / (seeds * weight)
  }
  draws.sort()
  const total = sums.flatMap((row) => [...row]).reduce((a, b) => a + b, 0)
  const value = total / (seeds * weights.reduce((a, b) => a + b, 0))
  const quantile = (q: number) => draws[Math.min(replicates - 1, Math.floor(q * replicates))]!
  const below = draws.filter((d) => d <= 0).length
  const above = draws.filter((d) => d >= 0).length
  const p = Math.min(1, (2 * (Math.min(below, above) + 1)) / (replicates + 1))
  return { value, low: quantile(LEVEL / 2), high: quantile(1 - LEVEL / 2), p, seeds, documents }
}

interface Paired {
  seeds: number
  documents: number
  /** Consecutive documents of one corpus. */
  strata: { start: number; size: number }[]
  /** By seed and document: what the first scored above the second, nats or bits. */
  sums: Float64Array[]
  /** By document: tokens or bytes. */
  weights: Float64Array
}

function pair(first: SeedScores, second: SeedScores, unit: ScoreUnit): Paired | undefined {
  const seeds = [...first.keys()].filter((seed) => second.has(seed))
  if (!seeds.length) return undefined
  const key = ({ corpus, document }: HeldOutDocument) => `${corpus}/${document}`
  const tables = seeds.flatMap((seed) =>
    [first, second].map((scores) => new Map(scores.get(seed)!.map((d) => [key(d), d]))),
  )
  const shared = first
    .get(seeds[0]!)!
    .filter((document) => tables.every((table) => table.has(key(document))))
    .sort((a, b) => (a.corpus < b.corpus ? -1 : a.corpus > b.corpus ? 1 : a.document - b.document))
  if (!shared.length) return undefined
  const scale = unit === 'bitsPerByte' ? 1 / Math.LN2 : 1
  const sums = seeds.map((_, i) => {
    const [own, other] = [tables[2 * i]!, tables[2 * i + 1]!]
    return Float64Array.from(shared, (d) => scale * (own.get(key(d))!.nll - other.get(key(d))!.nll))
  })
  const strata: Paired['strata'] = []
  for (const [i, { corpus }] of shared.entries()) {
    if (shared[i - 1]?.corpus === corpus) strata.at(-1)!.size++
    else strata.push({ start: i, size: 1 })
  }
  const weights = Float64Array.from(shared, (d) => (unit === 'bitsPerByte' ? d.bytes : d.tokens))
  return { seeds: seeds.length, documents: shared.length, strata, sums, weights }
}

/**
 * Holm's step-down correction (Holm 1979): adjusted p of each test of a family, in the order given. Rejecting those
 * below a level keeps the chance of any false rejection in the family below it.
 */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!)
  const adjusted = new Array<number>(p.length)
  let highest = 0
  for (const [rank, i] of order.entries()) {
    highest = Math.max(highest, Math.min(1, (p.length - rank) * p[i]!))
    adjusted[i] = highest
  }
  return adjusted
}

/** A difference counts when its interval leaves out 0 and its corrected p is below the level. */
export function isReal({ low, high }: Pick<Difference, 'low' | 'high'>, corrected: number): boolean {
  return (low > 0 || high < 0) && corrected < LEVEL
}

/** Mean and sample standard deviation (null for a single value). */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number | null } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  if (values.length < 2) return { mean, deviation: null }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}
