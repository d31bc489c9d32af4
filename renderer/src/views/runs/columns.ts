import { numberOf, type RunRow } from '#contract'

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

/**
 * Runs in the order of a column.
 *
 * @param sort the column's name, after a minus where it falls; another leaves them as they are
 * @returns what was not measured last, before it what is no number, whichever the direction
 */
export function sortRuns(runs: readonly RunRow[], sort: string): readonly RunRow[] {
  const falls = sort.startsWith('-')
  const name = falls ? sort.slice(1) : sort
  if (!isColumn(name)) return runs
  const rank = (value: unknown) => (value === undefined ? 2 : Number.isNaN(value) ? 1 : 0)
  return runs
    .map((run) => ({ run, value: columns[name](run) }))
    .sort((a, b) => {
      const apart = rank(a.value) - rank(b.value)
      if (apart || rank(a.value)) return apart
      const order = a.value! < b.value! ? -1 : a.value! > b.value! ? 1 : 0
      return falls ? -order : order
    })
    .map(({ run }) => run)
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
