import {
  meanAndDeviation,
  measuredOf,
  numberOf,
  showP,
  type EvaluationRecord,
  type Measured,
} from '#contract'
import { type Method, type Verdict } from '../comparison'
import { BOOTSTRAP, type Marking } from './marks'
import type { Column, Table } from './table'

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
  const basis = `95 % interval ${percent(low)} to ${percent(high)}; p ${corrected < 0.001 ? '' : '= '}${showP(corrected)} after Holm; ${seeds} seed${seeds === 1 ? '' : 's'}, ${documents} documents`
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
export function methodTables(methods: readonly Method[], marking: Marking): Table[] {
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
      note: 'Mean over the seeds ± sample standard deviation, held-out, at the last evaluation of each run.',
      marked: marking.meaning,
      columns: [
        { title: 'Seeds' },
        ...shown.flatMap(([title, , better, unit]): Column[] => [
          { title, better, unit },
          { title: `${title}, sd`, as: 'deviation' },
        ]),
      ],
      rows: methods.map((method) => ({
        head: method.label,
        run: method.runs[0]!.row.id,
        marks: shown.flatMap(([, key], i) => (marking.of(method, key) ? [1 + 2 * i] : [])),
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
      note: `Change of held-out perplexity. 95 % intervals: ${BOOTSTRAP}. Holm-corrected p over the rows. A row whose interval holds 0, or whose p is 0.05 or more, is no difference. Few seeds make intervals that are too narrow rather than too wide.`,
      marked: 'More than chance.',
      columns: [
        { title: 'Change', unit: '%' },
        { title: '95 % interval', unit: '%', as: 'low' },
        { title: 'its upper end', unit: '%', as: 'high' },
        { title: 'p', unit: 'Holm', as: 'p' },
        { title: 'Seeds' },
        { title: 'Documents' },
      ],
      rows: verdicts.map(({ first, second, difference: d, corrected, real }) => ({
        head: `${first} against ${second}`,
        verdict: real ? (d.value < 0 ? 'better' : 'worse') : 'no difference',
        marks: real ? [0] : [],
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
