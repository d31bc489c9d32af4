import { measuredOf, tellingPlaces, type Curve } from '#contract'
import type { Column, MetricColumns } from '../../store'

export interface Drawing {
  /** Absent: all. */
  keys?: readonly string[]
  /** First and last step. */
  from?: number
  to?: number
  /** At most so many of a curve. */
  points: number
}

/** Columns as a page draws them. Those of one list, a teacher each, keep the same steps: they are stacked. */
export function drawCurves(
  { columns }: MetricColumns,
  { keys, from = -Infinity, to = Infinity, points }: Drawing,
): Record<string, Curve> {
  const lists = new Map<string, [string, Column][]>()
  for (const [key, column] of columns) {
    if (keys && !keys.includes(key)) continue
    const list = key.replace(/\.\d+$/, '')
    lists.set(list, [...(lists.get(list) ?? []), [key, within(column, from, to)]])
  }
  const drawn: Record<string, Curve> = {}
  for (const list of lists.values()) {
    const places = tellingPlaces(
      list.map(([, { values }]) => values),
      points,
    )
    for (const [key, { steps, values }] of list) {
      drawn[key] = {
        steps: places.map((place) => steps[place]!),
        values: places.map((place) => measuredOf(values[place]!)),
      }
    }
  }
  return drawn
}

function within({ steps, values }: Column, from: number, to: number): Column {
  const firstOf = (is: (step: number) => boolean) => {
    const found = steps.findIndex(is)
    return found < 0 ? steps.length : found
  }
  const [begin, end] = [firstOf((step) => step >= from), firstOf((step) => step > to)]
  return { steps: steps.subarray(begin, end), values: values.subarray(begin, end) }
}
