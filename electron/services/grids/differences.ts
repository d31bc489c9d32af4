import { mean, meanAndDeviation, type GridResults, type SettingResult } from '#contract'
import { holm, isReal, type ScoreUnit, studentP, studentQuantile } from '../comparison'
import type { DocumentBootstrap } from './documents'
import type { MeasuredCell } from './spread'

/** Metrics that every document has a share in. Perplexity goes by the cross-entropy that it is the exponential of. */
const DOCUMENT_METRICS = new Map<string, ScoreUnit>([
  ['perplexity', 'crossEntropy'],
  ['crossEntropy', 'crossEntropy'],
  ['bitsPerByte', 'bitsPerByte'],
])

/** For a table that a person waits for. */
const REPLICATES = 2000

type Judged = NonNullable<SettingResult['difference']>

/**
 * Differences of settings to a baseline, by the seeds that both have. Metrics that documents have one by one are judged
 * by paired bootstrap over seeds and documents, the others by Student's paired test over the seeds; Holm's correction is
 * over the settings.
 *
 * @returns in the order of `settings`; null where the two share no seed
 */
export function differencesTo(
  base: readonly MeasuredCell[],
  settings: readonly (readonly MeasuredCell[])[],
  metric: string,
  bootstrap: DocumentBootstrap,
): (Judged | null)[] {
  // The smallest p that so many replicates can find must pass Holm's first step.
  const replicates = Math.min(10_000, Math.max(REPLICATES, 100 * settings.length))
  const raw = settings.map((own) => {
    const pairs = own.flatMap((cell) => {
      const other = base.find(({ seed }) => seed === cell.seed)
      return other ? [{ cell, other }] : []
    })
    if (!pairs.length) return null
    const values = pairs.map(({ cell, other }) => cell.value - other.value)
    const plain = { mean: mean(values), seeds: pairs.length }
    const found = byDocuments(pairs, metric, bootstrap, replicates)
    return found ? { ...plain, basis: 'documents' as const, ...found } : { ...plain, ...bySeeds(values) }
  })
  const judged = raw.flatMap((one) => (one?.p == null ? [] : [one.p]))
  const corrected = holm(judged)
  let rank = 0
  return raw.map((one) => {
    if (one === null) return null
    if (one.p === null || one.low === null || one.high === null) return { ...one, different: null }
    const p = corrected[rank++]!
    return { ...one, p, different: isReal({ low: one.low, high: one.high }, p) }
  })
}

/** 95 % interval of a setting's mean: over its seeds, else over the documents that its one seed was scored on. */
export function intervalOf(
  cells: readonly MeasuredCell[],
  overSeeds: { low: number | null; high: number | null },
  metric: string,
  bootstrap: DocumentBootstrap,
): GridResults['bestInterval'] {
  const { low, high } = overSeeds
  if (low !== null && high !== null) return { low, high, basis: 'seeds' }
  const unit = DOCUMENT_METRICS.get(metric)
  if (unit === undefined) return null
  const found = bootstrap.compare(cells, undefined, unit, REPLICATES)
  if (!found) return null
  const unfold = metric === 'perplexity' ? Math.exp : (value: number) => value
  return { low: unfold(found.low), high: unfold(found.high), basis: 'documents' }
}

function byDocuments(
  pairs: readonly { cell: MeasuredCell; other: MeasuredCell }[],
  metric: string,
  bootstrap: DocumentBootstrap,
  replicates: number,
): Pick<Judged, 'low' | 'high' | 'p'> | undefined {
  const unit = DOCUMENT_METRICS.get(metric)
  if (unit === undefined) return undefined
  const [own, others] = [pairs.map(({ cell }) => cell), pairs.map(({ other }) => other)]
  const found = bootstrap.compare(own, others, unit, replicates)
  if (!found) return undefined
  const { low, high, p } = found
  if (metric !== 'perplexity') return { low, high, p }
  const reference = mean(others.map(({ value }) => value))
  const change = (difference: number) => reference * (Math.exp(difference) - 1)
  return { low: change(low), high: change(high), p }
}

function bySeeds(values: readonly number[]): Pick<Judged, 'low' | 'high' | 'p' | 'basis'> {
  const { mean: center, deviation } = meanAndDeviation(values)
  if (deviation === null) return { low: null, high: null, p: null, basis: 'seeds' }
  const error = deviation / Math.sqrt(values.length)
  const half = studentQuantile(values.length - 1) * error
  const p = error > 0 ? studentP(center / error, values.length - 1) : center === 0 ? 1 : 0
  return { low: center - half, high: center + half, p, basis: 'seeds' }
}
