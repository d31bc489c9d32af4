/** Okabe and Ito's colours, which colour-blind readers can tell apart; black is left to the axes. */
const OKABE_ITO = ['#E69F00', '#56B4E9', '#009E73', '#CC79A7', '#D55E00', '#0072B2', '#B8A800'] as const
/** Never colour alone: every line of a chart has a dash of its own. */
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2], [1, 3]] as const
const GREYS = ['#71717a', '#a1a1aa', '#52525b', '#8a8a93'] as const

export interface Stroke {
  color: string
  dash: number[]
}

/** A teacher has the same stroke wherever it appears: its place in the library. */
export function teacherStroke(index: number): Stroke {
  return { color: OKABE_ITO[index % OKABE_ITO.length]!, dash: [...DASHES[index % DASHES.length]!] }
}

/** Runs of a comparison, by their place; baselines (no teachers) are grey. */
export function runStroke(index: number, baseline = false): Stroke {
  const dash = [...DASHES[index % DASHES.length]!]
  const color = baseline ? GREYS[index % GREYS.length]! : OKABE_ITO[(index + 5) % OKABE_ITO.length]!
  return { color, dash }
}

/** The student's own: the accent, and shades of its losses by dash. */
export function lossStroke(index: number): Stroke {
  const colors = ['#0284c7', '#D55E00', '#009E73', '#CC79A7']
  return { color: colors[index % colors.length]!, dash: [...DASHES[index % DASHES.length]!] }
}
