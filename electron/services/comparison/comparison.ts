import {
  isNumber,
  isRecord,
  measuredOf,
  numberOf,
  type Comparison,
  type ComparisonColumn,
  type EvaluationRecord,
  type HeldOutDocument,
  type Measured,
  type Run,
  type RunConfig,
} from '#contract'
import { forgetting } from './forgetting'
import { ascending, holm, isReal, pairedBootstrap, type ScoreUnit } from './statistics'

export interface ComparedRun {
  row: Run
  config: RunConfig
  /** Median training speed, tokens/s. */
  speed: number | undefined
  /** Of the last evaluation; empty when the run never came to it. */
  documents: readonly HeldOutDocument[]
  evaluations: readonly EvaluationRecord[]
}

type Column = ComparisonColumn & { value: (run: ComparedRun) => Measured | null | undefined }

const COLUMNS: readonly Column[] = [
  {
    key: 'perplexity',
    title: 'Perplexity',
    unit: '',
    better: 'lower',
    value: ({ row }) => row.evaluation?.perplexity,
  },
  {
    key: 'bitsPerByte',
    title: 'Bits per byte',
    unit: '',
    better: 'lower',
    value: ({ row }) => row.evaluation?.bitsPerByte,
  },
  {
    key: 'crossEntropy',
    title: 'Cross-entropy',
    unit: 'nats',
    better: 'lower',
    value: ({ row }) => row.evaluation?.crossEntropy,
  },
  {
    key: 'klToFused',
    title: 'KL to fused',
    unit: 'nats',
    better: 'lower',
    value: ({ row }) => row.evaluation?.klToFused,
  },
  {
    key: 'distillationLoss',
    title: 'Distill. loss',
    unit: '',
    better: 'lower',
    value: ({ row }) => row.evaluation?.distillationLoss,
  },
  {
    key: 'agreement',
    title: 'Agreement',
    unit: '',
    better: 'higher',
    value: ({ row }) => row.evaluation?.agreement,
  },
  { key: 'ece', title: 'ECE', unit: '', better: 'lower', value: ({ row }) => row.evaluation?.ece },
  { key: 'bleu', title: 'BLEU', unit: '', better: 'higher', value: ({ row }) => row.evaluation?.bleu },
  {
    key: 'forgetting',
    title: 'Forgetting',
    unit: 'bits/byte',
    better: 'lower',
    value: forgetting,
  },
  { key: 'steps', title: 'Steps', unit: '', better: 'neither', value: ({ row }) => row.step },
  {
    key: 'tokensPerSecond',
    title: 'Speed',
    unit: 'tokens/s',
    better: 'higher',
    value: ({ speed }) => speed,
  },
  {
    key: 'parameters',
    title: 'Parameters',
    unit: '',
    better: 'neither',
    value: ({ row }) => row.parameters,
  },
]

/** Titles, units and directions of the metrics. */
export const evaluationMetrics: readonly ComparisonColumn[] = COLUMNS.map(({ value: _, ...column }) => column)

/** Of the speeds of a run's steps, tokens/s: the first steps, which compile, do not count for it. */
export function medianSpeed(speeds: ArrayLike<number>): number | undefined {
  return Float64Array.from(speeds).sort()[Math.floor(speeds.length / 2)]
}

/** Metrics of runs beside each other, with the differences to the baseline and the settings that are not the same. */
export function compareRuns(runs: readonly ComparedRun[], baseline: string): Comparison {
  // What describes rather than measures is told where it differs.
  const columns = COLUMNS.filter(({ value, better }) => {
    const values = runs.map((run) => value(run) ?? null)
    const differs = new Set(values).size > 1 || runs.length === 1
    return values.some((v) => v !== null) && (better !== 'neither' || differs)
  })
  const valuesOf = (run: ComparedRun) =>
    Object.fromEntries(columns.map(({ key, value }) => [key, value(run) ?? null]))
  const base = valuesOf(runs.find(({ row }) => row.id === baseline)!)
  const intervals = intervalsTo(
    runs.find(({ row }) => row.id === baseline)!,
    runs,
  )
  const rows = runs.map((run, i) => {
    const values = valuesOf(run)
    const differences = Object.fromEntries(
      columns.map(({ key }) => {
        const [own, other] = [values[key], base[key]]
        return [key, own == null || other == null ? null : measuredOf(numberOf(own) - numberOf(other))]
      }),
    )
    return {
      run: run.row.id,
      name: run.row.name,
      method: run.row.method,
      values,
      differences,
      intervals: intervals[i]!,
    }
  })
  const best: Comparison['best'] = {}
  for (const { key, better } of columns) {
    if (better === 'neither') continue
    const sign = better === 'lower' ? 1 : -1
    const placeOf = ({ values }: (typeof rows)[number]) => sign * numberOf(values[key])
    const ranked = rows
      .filter(({ values }) => values[key] != null)
      .sort((a, b) => ascending(placeOf(a), placeOf(b)))
    if (ranked.length > 1 && isNumber(ranked[0]!.values[key])) best[key] = ranked[0]!.run
  }
  return {
    baseline,
    columns: columns.map(({ key, title, unit, better }) => ({ key, title, unit, better })),
    rows,
    configDiff: differingSettings(runs.map(({ config }) => config.experiment)),
    best,
  }
}

/** Replicates for a table that a person waits for. */
const REPLICATES = 2000

/**
 * What chance makes of the differences to the baseline, by paired bootstrap over held-out documents; Holm's correction
 * is over the runs. Perplexity's interval is that of the cross-entropy, at the baseline's perplexity.
 */
function intervalsTo(
  base: ComparedRun,
  runs: readonly ComparedRun[],
): Comparison['rows'][number]['intervals'][] {
  const intervals: Comparison['rows'][number]['intervals'][] = runs.map(() => ({}))
  const units: ScoreUnit[] = ['crossEntropy', 'bitsPerByte']
  for (const unit of units) {
    const compared = runs.flatMap((run, i) => {
      const sameTokens = run.config.tokenizer.digest === base.config.tokenizer.digest
      if (run === base || (unit === 'crossEntropy' && !sameTokens)) return []
      const scores = [run, base].map(({ documents }) => new Map([[1, documents]])) as [
        Map<number, readonly HeldOutDocument[]>,
        Map<number, readonly HeldOutDocument[]>,
      ]
      const difference = pairedBootstrap(...scores, unit, { replicates: REPLICATES })
      return difference ? [{ i, difference }] : []
    })
    const corrected = holm(compared.map(({ difference }) => difference.p))
    for (const [rank, { i, difference }] of compared.entries()) {
      const { low, high } = difference
      const judged = { p: corrected[rank]!, real: isReal(difference, corrected[rank]!) }
      intervals[i]![unit] = { low, high, ...judged }
      const perplexity = base.row.evaluation?.perplexity
      if (unit === 'crossEntropy' && isNumber(perplexity)) {
        const [from, to] = [low, high].map((d) => perplexity * (Math.exp(d) - 1)) as [number, number]
        intervals[i]!['perplexity'] = { low: from, high: to, ...judged }
      }
    }
  }
  return intervals
}

/** Dotted paths whose values are not the same in all definitions; the name, which always differs, left out. */
export function differingSettings(definitions: readonly object[]): Comparison['configDiff'] {
  const flat = definitions.map((definition) => new Map(flatten(definition)))
  const paths = [...new Set(flat.flatMap((map) => [...map.keys()]))]
  return paths
    .filter((path) => path !== 'name')
    .map((path) => ({ path, values: flat.map((map) => map.get(path) ?? null) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1)
}

/** Lists are values: teachers in another order are another setting, not three. */
function* flatten(value: object, prefix = ''): Generator<[string, unknown]> {
  for (const [key, inner] of Object.entries(value)) {
    if (isRecord(inner)) yield* flatten(inner, `${prefix}${key}.`)
    else yield [`${prefix}${key}`, inner]
  }
}
