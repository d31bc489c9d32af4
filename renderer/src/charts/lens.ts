import { valueAtStep } from './clock'
import type { Series } from './series'

/** What series are drawn over. */
export const overs = ['step', 'tokens', 'seconds'] as const
export type Over = (typeof overs)[number]

/** A series over something else than its steps; none where it does not tell. */
export function drawnOver(series: Series, over: Over): Series[] {
  if (over === 'step') return [series]
  const curve = series.clock?.[over]
  if (!curve) return []
  return [{ ...series, points: series.points.map(([step, y]) => [valueAtStep(curve, step), y] as const) }]
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
