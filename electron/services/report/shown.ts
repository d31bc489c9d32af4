import { isNumber, showP, type Measured } from '#contract'
import { bestRows, show } from './content'
import type { Column, Table } from './table'

/** The sign at a value that differs from the baseline's by more than chance. */
export const MARK = '†'

export interface ShownCell {
  /** Rounded to its deviation where it has one. */
  value: string
  deviation?: string
  best: boolean
  marked: boolean
}

/** A table as it is read: a deviation stands with its mean, the ends of an interval together. */
export interface ShownTable {
  title: string
  notes: string[]
  columns: Pick<Column, 'title' | 'unit'>[]
  rows: { head: string; cells: ShownCell[] }[]
  /** A verdict a row, where they have one. */
  verdicts?: string[]
}

/** The table with its numbers as they are written in every format that is read. */
export function shownTable(table: Table): ShownTable {
  const { title, note, marked, columns, rows } = table
  const best = bestRows(table)
  // What no row has says nothing.
  const has = (at: number) => rows.some(({ cells }) => cells[at] !== null)
  const places = columns.flatMap(({ as }, at) =>
    as === 'deviation' || as === 'high' || !has(at) ? [] : [at],
  )
  const used = rows.some(({ marks }) => marks?.length)
  return {
    title,
    notes: [...(note ? [note] : []), ...(used && marked ? [`${MARK} ${marked}`] : [])],
    columns: places.map((at) => columns[at]!),
    rows: rows.map(({ head, cells, marks }, i) => ({
      head,
      cells: places.map((at) => ({
        ...shownValue(columns, cells, at),
        best: best[at] === i,
        marked: marks?.includes(at) ?? false,
      })),
    })),
    ...(rows.some(({ verdict }) => verdict) && { verdicts: rows.map(({ verdict }) => verdict ?? '') }),
  }
}

/** A cell as plain text. */
export function cellText({ value, deviation, marked }: ShownCell): string {
  return `${value}${deviation === undefined ? '' : ` ± ${deviation}`}${marked ? MARK : ''}`
}

function shownValue(columns: readonly Column[], cells: readonly (Measured | null)[], at: number) {
  const value = cells[at]!
  if (columns[at]!.as === 'low')
    return { value: value === null ? '–' : `${show(value)} to ${show(cells[at + 1]!)}` }
  if (columns[at]!.as === 'p' && isNumber(value)) return { value: showP(value) }
  const spread = columns[at + 1]?.as === 'deviation' ? cells[at + 1]! : null
  if (!isNumber(value) || !isNumber(spread)) return { value: show(value) }
  const [mean, deviation] = meanWithDeviation(value, spread)
  return { value: mean, deviation: deviation! }
}

/** A column's head in one line. */
export function headOf({ title, unit }: Pick<Column, 'title' | 'unit'>): string {
  return unit ? `${title} (${unit})` : title
}

/** The deviation with two significant digits and the mean with as many decimals; four digits where there is none. */
export function meanWithDeviation(mean: number, sd: number | null): [mean: string, sd: string | null] {
  const magnitude = (value: number) => (value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))))
  const decimals = (digits: number, value: number) => Math.min(8, Math.max(0, digits - 1 - magnitude(value)))
  if (!sd) return [mean.toFixed(decimals(4, mean)), sd === null ? null : '0']
  const shared = decimals(2, sd)
  return [mean.toFixed(shared), sd.toFixed(shared)]
}
