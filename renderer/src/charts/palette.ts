import { DASHES, type Stroke } from '#contract'

/** The student's own: the accent, and shades of its losses by dash. */
export function lossStroke(index: number): Stroke {
  const colors = ['#0284c7', '#D55E00', '#009E73', '#CC79A7']
  return { color: colors[index % colors.length]!, dash: DASHES[index % DASHES.length]! }
}
