import { numberOf, type RunRow, type RunValue } from '#contract'
import { matches, namesIn, parseExpression, type Values } from '../../ui/expression'
import { sortedBy } from '../../ui/sorted'
import { groups } from '../experiments/form'

/** What the list of runs holds itself, by its column's name. */
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

/** A column that can be chosen beside those: its key is that of `runs.values`. */
export interface ChosenColumn {
  key: string
  title: string
}

export const metricColumns: readonly ChosenColumn[] = [
  { key: 'heldOut.crossEntropy', title: 'Cross-entropy' },
  { key: 'heldOut.distillationLoss', title: 'Distillation loss' },
  { key: 'heldOut.agreement', title: 'Agreement' },
  { key: 'heldOut.ece', title: 'ECE' },
  { key: 'heldOut.brier', title: 'Brier score' },
  { key: 'heldOut.bleu', title: 'BLEU' },
  { key: 'heldOut.exactAnswers', title: 'Exact answers' },
]
/** The settings of the form, by their paths; what the list holds already is not among them. */
export const settingColumns: readonly ChosenColumn[] = [
  ...new Set(groups.flatMap(({ fields }) => fields.map(({ path }) => path))),
]
  .filter((path) => !isColumn(path))
  .map((key) => ({ key, title: key }))
const chosenColumns = [...metricColumns, ...settingColumns]

export const titleOf = (key: string) => chosenColumns.find((one) => one.key === key)?.title ?? key

/** What a person has put on a run, and where it comes from. */
const others: Record<string, (run: RunRow) => Values> = {
  tag: ({ tags }) => tags ?? [],
  starred: ({ starred }) => (starred ? 'yes' : 'no'),
  experiment: ({ experiment }) => experiment,
  group: ({ group }) => group,
}

/**
 * The key of the column that a name in a filter stands for: its path, or the end of it where no other has the same.
 *
 * @returns undefined of a name that the list knows itself
 * @throws Error of a name that stands for nothing, or for several
 */
export function keyOf(name: string): string | undefined {
  const wanted = name.toLowerCase()
  if (isColumn(wanted) || Object.hasOwn(others, wanted)) return undefined
  const whole = chosenColumns.find(({ key }) => key.toLowerCase() === wanted)
  const found = whole ? [whole] : chosenColumns.filter(({ key }) => key.toLowerCase().endsWith(`.${wanted}`))
  if (found.length === 1) return found[0]!.key
  if (!found.length) throw new Error(`"${name}" is no column, metric, setting or tag; text goes in quotes`)
  throw new Error(`"${name}" may be ${found.map(({ key }) => key).join(' or ')}`)
}

export type ValueOf = (id: string, key: string) => RunValue | undefined

/** What a filter of runs asks for, and the keys of the columns that it needs. */
export function searchOf(
  filter: string,
  text: (run: RunRow) => string,
  valueOf: ValueOf,
): { test: (run: RunRow) => boolean; keys: string[] } {
  const expression = parseExpression(filter)
  const keys = new Map(namesIn(expression).map((name) => [name, keyOf(name)]))
  const value = (run: RunRow, name: string): Values => {
    const key = keys.get(name)
    if (key !== undefined) return numeric(valueOf(run.id, key), key)
    const own = name.toLowerCase()
    return isColumn(own) ? columns[own](run) : others[own]!(run)
  }
  return {
    test: (run) => matches(expression, text(run).toLowerCase(), (name) => value(run, name)),
    keys: [...keys.values()].filter((key) => key !== undefined),
  }
}

/** What was measured and is no finite number, as a number. */
const numeric = (value: RunValue | undefined, key: string) =>
  key.startsWith('heldOut.') && typeof value === 'string' ? Number(value) : value

/** Runs in the order of a column (`sortedBy`); a column that they do not have leaves them as they are. */
export function sortRuns(runs: readonly RunRow[], sort: string, valueOf: ValueOf): readonly RunRow[] {
  return sortedBy(runs, sort, (run, name) =>
    isColumn(name) ? columns[name](run) : (numeric(valueOf(run.id, name), name) ?? undefined),
  )
}
