import { DASHES, strokesOf, type Drawn, type Run, type Stroke } from '#contract'

const GREYS = ['#71717a', '#a1a1aa', '#52525b', '#8a8a93'] as const

/** Runs of a comparison by id: those trained without teachers are what others have to beat, in greys. */
export function runStrokes(runs: readonly Run[]): Map<string, Stroke> {
  const baselines = runs.filter(({ method }) => method === 'cross-entropy')
  const strokes = new Map(strokesOf(runs.filter(({ method }) => method !== 'cross-entropy')))
  const byAge = [...baselines].sort((a, b) => a.createdAt.localeCompare(b.createdAt))
  for (const [i, { id }] of byAge.entries())
    strokes.set(id, { color: GREYS[i % GREYS.length]!, dash: DASHES[i % DASHES.length]! })
  return strokes
}

/** Teachers by id: those of the library, then those of a run that are there no more. */
export function teacherStrokes(library: readonly Drawn[], others: readonly { id: string }[] = []) {
  const gone = others.filter(({ id }) => !library.some((row) => row.id === id))
  return strokesOf([...library, ...gone.map(({ id }) => ({ id, createdAt: '9' }))])
}

/** The student's own: the accent, and shades of its losses by dash. */
export function lossStroke(index: number): Stroke {
  const colors = ['#0284c7', '#D55E00', '#009E73', '#CC79A7']
  return { color: colors[index % colors.length]!, dash: DASHES[index % DASHES.length]! }
}
