import { numberOf, type Curve } from '#contract'
import type { Clock, Series } from './series'

/** What series are drawn over. */
export const overs = ['step', 'tokens', 'seconds'] as const
export type Over = (typeof overs)[number]

/** A curve's value at a step, in proportion between its steps, from nothing at step 0; as at its last step after it. */
export function valueAtStep({ steps, values }: Curve, step: number): number {
  let [low, high] = [0, steps.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (steps[middle]! < step) low = middle + 1
    else high = middle
  }
  if (low === steps.length) return steps.length ? numberOf(values.at(-1)!) : 0
  if (steps[low] === step) return numberOf(values[low]!)
  const [step0, value0] = low ? [steps[low - 1]!, numberOf(values[low - 1]!)] : [0, 0]
  const part = (step - step0) / (steps[low]! - step0)
  return value0 + part * (numberOf(values[low]!) - value0)
}

/** A series over something else than its steps; none where it does not tell. */
export function drawnOver(series: Series, over: Over): Series[] {
  if (over === 'step') return [series]
  const curve = series.clock?.[over]
  if (!curve) return []
  return [{ ...series, points: series.points.map(([step, y]) => [valueAtStep(curve, step), y] as const) }]
}

/** What seeds of one setting have seen at the steps of the first, in the mean. */
export function meanClock(clocks: readonly Clock[]): Clock | undefined {
  const [first] = clocks
  const mean = (key: 'tokens' | 'seconds'): Clock => {
    const curves = clocks.flatMap((clock) => clock[key] ?? [])
    if (!first?.[key] || curves.length < clocks.length) return {}
    const { steps } = first[key]
    const at = (step: number) =>
      curves.reduce((sum, curve) => sum + valueAtStep(curve, step), 0) / curves.length
    return { [key]: { steps, values: steps.map(at) } }
  }
  const all = { ...mean('tokens'), ...mean('seconds') }
  return Object.keys(all).length ? all : undefined
}

/**
 * An exponential moving average whose memory is a share of what is in sight: of the points before, each counts by
 * e^(-distance / (share x range)), so that points that lie closer together do not count more; the first ones are not
 * drawn towards zero.
 *
 * @param share above 0, below 1
 */
export function smoothed(series: Series, share: number): Series {
  const xs = series.points.map(([x]) => x)
  const memory = share * ((xs.at(-1) ?? 0) - (xs[0] ?? 0))
  if (!(memory > 0)) return series
  let [sum, weight, last] = [0, 0, xs[0]!]
  const points = series.points.map(([x, y]) => {
    if (y === null) return [x, y] as const
    const kept = Math.exp((last - x) / memory)
    sum = sum * kept + y
    weight = weight * kept + 1
    last = x
    return [x, sum / weight] as const
  })
  return { ...series, points }
}
