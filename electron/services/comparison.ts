import type { Comparison, ComparisonColumn, Run, RunConfig, StepRecord } from '#contract'

export interface ComparedRun {
  row: Run
  config: RunConfig
  steps: readonly StepRecord[]
}

const COLUMNS: readonly (ComparisonColumn & { value: (run: ComparedRun) => number | null | undefined })[] = [
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
  { key: 'steps', title: 'Steps', unit: '', better: 'neither', value: ({ row }) => row.step },
  {
    key: 'tokensPerSecond',
    title: 'Speed',
    unit: 'tokens/s',
    better: 'higher',
    value: ({ steps }) => medianSpeed(steps),
  },
  {
    key: 'parameters',
    title: 'Parameters',
    unit: '',
    better: 'neither',
    value: ({ row }) => row.parameters,
  },
]

/** Median training speed, tokens/s: the first steps, which compile, do not count for it. */
export function medianSpeed(steps: readonly StepRecord[]): number | undefined {
  const speeds = steps.map(({ tokensPerSecond }) => tokensPerSecond).sort((a, b) => a - b)
  return speeds[Math.floor(speeds.length / 2)]
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
  const rows = runs.map((run) => {
    const values = valuesOf(run)
    const differences = Object.fromEntries(
      columns.map(({ key }) => {
        const [own, other] = [values[key], base[key]]
        return [key, own == null || other == null ? null : own - other]
      }),
    )
    return { run: run.row.id, name: run.row.name, method: run.row.method, values, differences }
  })
  const best: Comparison['best'] = {}
  for (const { key, better } of columns) {
    const sign = better === 'lower' ? 1 : -1
    const ranked = rows
      .filter(({ values }) => values[key] != null)
      .sort((a, b) => sign * (a.values[key]! - b.values[key]!))
    if (better !== 'neither' && ranked.length > 1) best[key] = ranked[0]!.run
  }
  return {
    baseline,
    columns: columns.map(({ key, title, unit, better }) => ({ key, title, unit, better })),
    rows,
    configDiff: differingSettings(runs.map(({ config }) => config.experiment)),
    best,
  }
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
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      yield* flatten(inner, `${prefix}${key}.`)
    else yield [`${prefix}${key}`, inner]
  }
}
