import {
  meanAndDeviation,
  isNumber,
  isRecord,
  measuredOf,
  numberOf,
  type Comparison,
  type ComparisonColumn,
  type ComparisonMethod,
  type EvaluationRecord,
  type HeldOutDocument,
  type Measured,
  type Run,
  type RunConfig,
} from '#contract'
import { forgetting } from './forgetting'
import { gatherMethods, judgePairs, type Method } from './methods'
import { ascending, studentQuantile } from './statistics'

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
    key: 'exactAnswers',
    title: 'Exact answers',
    unit: '',
    better: 'higher',
    value: ({ row }) => row.evaluation?.exactAnswers,
  },
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

/**
 * Metrics of runs beside each other, by run and by method (seeds of one setting together), with the differences to the
 * baseline and the settings that are not the same.
 */
export function compareRuns(runs: readonly ComparedRun[], baseline: string): Comparison {
  // What describes rather than measures is told where it differs.
  const columns = COLUMNS.filter(({ value, better }) => {
    const values = runs.map((run) => value(run) ?? null)
    const differs = new Set(values).size > 1 || runs.length === 1
    return values.some((v) => v !== null) && (better !== 'neither' || differs)
  })
  const valuesOf = (run: ComparedRun) =>
    Object.fromEntries(columns.map(({ key, value }) => [key, value(run) ?? null]))
  const baseRun = runs.find(({ row }) => row.id === baseline)!
  const base = valuesOf(baseRun)
  const rows = runs.map((run) => {
    const values = valuesOf(run)
    const differences = Object.fromEntries(columns.map(({ key }) => [key, less(values[key], base[key])]))
    return { run: run.row.id, name: run.row.name, method: run.row.method, values, differences }
  })
  const gathered = gatherMethods(runs)
  const first = gathered.find(({ runs, repeats }) => [...runs, ...repeats].includes(baseRun))!
  const spreads = gathered.map(({ runs }) =>
    Object.fromEntries(columns.map(({ key, value }) => [key, spreadOf(runs.map(value))])),
  )
  const intervals = intervalsTo(first, gathered, spreads[gathered.indexOf(first)]!['perplexity']?.mean)
  const methods = gathered.map((method, i) => ({
    label: method.runs.length === 1 ? method.runs[0]!.row.name : method.label,
    method: method.runs[0]!.row.method,
    runs: method.runs.map(({ row }) => row.id),
    repeats: method.repeats.map(({ row }) => row.id),
    values: spreads[i]!,
    differences: Object.fromEntries(
      columns.map(({ key }) => {
        const other = spreads[gathered.indexOf(first)]![key]
        return [key, less(spreads[i]![key]?.mean, other?.mean)]
      }),
    ),
    intervals: intervals[i]!,
  }))
  const best: Comparison['best'] = {}
  for (const { key, better } of columns) {
    if (better === 'neither') continue
    const sign = better === 'lower' ? 1 : -1
    const placeOf = ({ values }: ComparisonMethod) => sign * numberOf(values[key]!.mean)
    const ranked = methods
      .filter(({ values }) => values[key] != null)
      .sort((a, b) => ascending(placeOf(a), placeOf(b)))
    if (ranked.length > 1 && isNumber(ranked[0]!.values[key]!.mean)) best[key] = ranked[0]!.runs[0]!
  }
  return {
    baseline,
    columns: columns.map(({ key, title, unit, better }) => ({ key, title, unit, better })),
    rows,
    methods,
    configDiff: differingSettings(runs.map(({ config }) => config.experiment)),
    best,
  }
}

function less(own: Measured | null | undefined, other: Measured | null | undefined): Measured | null {
  return own == null || other == null ? null : measuredOf(numberOf(own) - numberOf(other))
}

/** Mean over seeds with the 95 % interval of it by Student's t; null where nothing was measured. */
function spreadOf(values: readonly (Measured | null | undefined)[]): ComparisonMethod['values'][string] {
  const own = values.flatMap((value) => (value == null ? [] : [numberOf(value)]))
  if (!own.length) return null
  const { mean, deviation } = meanAndDeviation(own)
  const half =
    deviation === null ? NaN : (studentQuantile(own.length - 1) * deviation) / Math.sqrt(own.length)
  const sure = Number.isFinite(half)
  return { mean: measuredOf(mean), low: sure ? mean - half : null, high: sure ? mean + half : null }
}

/** Replicates for a table that a person waits for. */
const REPLICATES = 2000

/**
 * What chance makes of the differences to the baseline's method, by paired bootstrap over seeds and held-out documents;
 * Holm's correction is over the methods. Perplexity's interval is that of the cross-entropy, at the baseline's mean
 * perplexity.
 */
function intervalsTo(
  base: Method,
  methods: readonly Method[],
  perplexity: Measured | undefined,
): ComparisonMethod['intervals'][] {
  const intervals: ComparisonMethod['intervals'][] = methods.map(() => ({}))
  const others = methods.filter((method) => method !== base)
  for (const unit of ['crossEntropy', 'bitsPerByte'] as const) {
    const pairs = others.map((method) => [method, base] as const)
    for (const [at, verdict] of judgePairs(pairs, { unit, replicates: REPLICATES }).entries()) {
      if (!verdict) continue
      const own = intervals[methods.indexOf(others[at]!)]!
      const { low, high } = verdict.difference
      const judged = { p: verdict.corrected, real: verdict.real }
      own[unit] = { low, high, ...judged }
      if (unit !== 'crossEntropy' || !isNumber(perplexity)) continue
      const [from, to] = [low, high].map((d) => perplexity * (Math.exp(d) - 1)) as [number, number]
      own['perplexity'] = { low: from, high: to, ...judged }
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
