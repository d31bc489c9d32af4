import { numberOf, type HeldOutDocument } from '#contract'
import { createRandom } from '../../files'

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
  // Of one seed and one document a corpus every draw is the same: they tell nothing of chance.
  const fixed = seeds === 1 && strata.every(({ size }) => size === 1)
  const p = fixed ? 1 : Math.min(1, (2 * (Math.min(below, above) + 1)) / (replicates + 1))
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
    return Float64Array.from(
      shared,
      (d) => scale * (numberOf(own.get(key(d))!.nll) - numberOf(other.get(key(d))!.nll)),
    )
  })
  // A document that was given up for lost has no place in a mean, and leaving it out would flatter whoever lost it.
  if (sums.some((row) => row.some((sum) => !Number.isFinite(sum)))) return undefined
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

/** An order of numbers in which those that are none come last. */
export function ascending(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a === b ? 0 : a - b
}

/** 0.975 quantiles of Student's t for 1, 2, ... degrees of freedom (Abramowitz and Stegun, table 26.10). */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
]

export function studentQuantile(freedom: number): number {
  return STUDENT[freedom - 1] ?? 1.96
}

/** Two-sided p of Student's t with a whole number of degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
export function studentP(t: number, freedom: number): number {
  const theta = Math.atan(Math.abs(t) / Math.sqrt(freedom))
  const [sine, cosine] = [Math.sin(theta), Math.cos(theta)]
  const odd = freedom % 2
  let term = odd ? cosine : 1
  let sum = freedom > 1 ? term : 0
  for (let i = odd ? 2 : 1; i <= freedom - 2; i += 2) {
    term *= (i / (i + 1)) * cosine ** 2
    sum += term
  }
  const inside = odd ? (2 / Math.PI) * (theta + sine * sum) : sine * sum
  return Math.min(1, Math.max(0, 1 - inside))
}
