import { measuredOf, numberOf, type EvaluationRecord, type Measured } from '#contract'
import { type Method, meanAndDeviation, type Verdict } from '../comparison'
import type { Table } from './table'

/** What is to be said of runs that repeat a seed; nothing where none does. */
export function sayRepeats(methods: readonly Method[]): string[] {
  const said = methods.flatMap(({ runs, repeats }) =>
    runs.flatMap(({ row: { name, seed } }) => {
      const names = repeats.filter(({ row }) => row.seed === seed).map(({ row }) => row.name)
      return names.length ? [`${names.join(', ')} (as ${name}, seed ${seed})`] : []
    }),
  )
  if (!said.length) return []
  return [
    `The same seed again is not another seed. These runs repeat one and count once, in no mean or interval twice: ${said.join('; ')}.`,
  ]
}

/** Change of perplexity in per cent that a difference of cross-entropies is. */
export const perplexityChange = (difference: number) => 100 * (Math.exp(difference) - 1)

/** The verdict as a sentence. */
export function sayVerdict({ first, second, difference, corrected, real }: Verdict): string {
  const { value, low, high, seeds, documents } = difference
  const percent = (d: number) => `${d > 0 ? '+' : ''}${perplexityChange(d).toFixed(2)} %`
  const basis = `95 % interval ${percent(low)} to ${percent(high)}; p = ${Number(corrected.toPrecision(2))} after Holm; ${seeds} seed${seeds === 1 ? '' : 's'}, ${documents} documents`
  if (!real) return `${first} against ${second}: no difference (perplexity ${percent(value)}; ${basis}).`
  const verb = value < 0 ? 'better' : 'worse'
  return `${first} is ${verb} than ${second}: perplexity ${percent(value)} (${basis}).`
}

const METRICS: [title: string, key: keyof EvaluationRecord, better: 'lower' | 'higher', unit?: string][] = [
  ['Perplexity', 'perplexity', 'lower'],
  ['Bits per byte', 'bitsPerByte', 'lower'],
  ['KL to fused target', 'klToFused', 'lower', 'nats/token'],
  ['Top-1 agreement', 'agreement', 'higher'],
  ['ECE', 'ece', 'lower'],
  ['BLEU', 'bleu', 'higher'],
  ['Exact answers', 'exactAnswers', 'higher'],
  ['Weight and correctness', 'weightCorrectness', 'higher', 'rank correlation'],
]

/** Mean and standard deviation over the seeds, a row a method; nothing when no method has a second seed. */
export function methodTables(methods: readonly Method[]): Table[] {
  if (!methods.some(({ runs }) => runs.length > 1)) return []
  const values = ({ runs }: Method, key: keyof EvaluationRecord) =>
    runs.flatMap(({ row }) => {
      const value = row.evaluation?.[key] as Measured | null | undefined
      return value == null ? [] : [numberOf(value)]
    })
  const shown = METRICS.filter(([, key]) => methods.some((method) => values(method, key).length))
  return [
    {
      title: 'Methods over seeds',
      note: 'Mean over the seeds and sample standard deviation (sd), at the last evaluation of each run.',
      columns: [
        { title: 'Seeds' },
        ...shown.flatMap(([title, , better, unit]) => [{ title, better, unit }, { title: 'sd' }]),
      ],
      rows: methods.map((method) => ({
        head: method.label,
        run: method.runs[0]!.row.id,
        cells: [
          method.runs.length,
          ...shown.flatMap(([, key]) => {
            const own = values(method, key)
            const { mean, deviation } = meanAndDeviation(own)
            return own.length
              ? [measuredOf(mean), deviation === null ? null : measuredOf(deviation)]
              : [null, null]
          }),
        ],
      })),
    },
  ]
}

/** The verdicts as a table: change of perplexity with its interval. */
export function verdictTable(title: string, verdicts: readonly Verdict[]): Table[] {
  if (!verdicts.length) return []
  return [
    {
      title,
      note: 'Change of held-out perplexity. Intervals: paired bootstrap over seeds and held-out documents (10,000 replicates, seeded), 95 %. Holm-corrected p over the rows. A row whose interval holds 0, or whose p is 0.05 or more, is no difference. Few seeds make intervals that are too narrow rather than too wide.',
      columns: [
        { title: 'Change', unit: '%' },
        { title: 'from', unit: '%' },
        { title: 'to', unit: '%' },
        { title: 'p', unit: 'Holm' },
        { title: 'Seeds' },
        { title: 'Documents' },
      ],
      rows: verdicts.map(({ first, second, difference: d, corrected, real }) => ({
        head: `${first} against ${second}: ${real ? (d.value < 0 ? 'better' : 'worse') : 'no difference'}`,
        cells: [
          perplexityChange(d.value),
          perplexityChange(d.low),
          perplexityChange(d.high),
          corrected,
          d.seeds,
          d.documents,
        ],
      })),
    },
  ]
}
