import { numberOf, type RunRow } from '#contract'
import { sortedBy } from '../../ui/sorted'

/** What a run is sorted and found by, by its column's name. */
export const columns = {
  name: ({ name }) => name,
  status: ({ status }) => status,
  method: ({ kind, method }) => (kind === 'teacher' ? 'teacher' : method),
  teachers: ({ teachers, foreign }) => teachers.length + foreign.length,
  step: ({ step }) => step,
  perplexity: ({ evaluation }) => of(evaluation?.perplexity),
  bits: ({ evaluation }) => of(evaluation?.bitsPerByte),
  kl: ({ evaluation }) => of(evaluation?.klToFused),
  seed: ({ seed }) => seed,
  started: ({ startedAt, createdAt }) => startedAt ?? createdAt,
} satisfies Record<string, (run: RunRow) => string | number | undefined>
export type ColumnName = keyof typeof columns

const of = (value: Parameters<typeof numberOf>[0]) => (value == null ? undefined : numberOf(value))
const isColumn = (name: string): name is ColumnName => Object.hasOwn(columns, name)

/** Runs in the order of a column (`sortedBy`); a column that they do not have leaves them as they are. */
export function sortRuns(runs: readonly RunRow[], sort: string): readonly RunRow[] {
  return sortedBy(runs, sort, (run, name) => (isColumn(name) ? columns[name](run) : undefined))
}

const CONDITION = /^([a-z]+)(<=|>=|<|>|=)(.+)$/
const COMPARED: Record<string, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '=': (a, b) => a === b,
}

/**
 * Whether a run is what a word of the filter says of a column: `perplexity<20`, `seed=3`, `status=failed`; undefined
 * when the word says nothing of a column. What was not measured is less than nothing and equal to nothing.
 */
export function meets(run: RunRow, word: string): boolean | undefined {
  const [, name, sign, wanted] = CONDITION.exec(word) ?? []
  if (!name || !isColumn(name)) return undefined
  const value = columns[name](run)
  if (typeof value === 'string') return sign === '=' ? value.toLowerCase() === wanted : undefined
  const number = Number(wanted)
  if (Number.isNaN(number)) return undefined
  return value !== undefined && COMPARED[sign!]!(value, number)
}
