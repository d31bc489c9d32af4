/** How a thing is drawn wherever it appears: never by colour alone. */
export interface Stroke {
  color: string
  /** Lengths of dashes and gaps in pixels; empty is a whole line. */
  dash: readonly number[]
}

/** Okabe and Ito's colours, which colour-blind readers can tell apart; black is left to the axes. */
export const COLORS = ['#E69F00', '#56B4E9', '#009E73', '#CC79A7', '#D55E00', '#0072B2', '#B8A800'] as const
/** As many as colours: the first seven things of a chart differ in both. */
export const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2], [1, 3]] as const

const GREYS = ['#71717a', '#a1a1aa', '#52525b', '#8a8a93'] as const

export interface Drawn {
  id: string
  createdAt: string
}

/**
 * The strokes of things that are seen together, by id. A thing's colour comes from its id, not from its place: it is
 * the same in every chart and whatever else is chosen, but where an older thing has it already; then it is the next
 * that is free. Once every colour is taken they come again with other dashes.
 */
export function strokesOf(things: readonly Drawn[]): ReadonlyMap<string, Stroke> {
  const strokes = new Map<string, Stroke>()
  const uses: number[] = COLORS.map(() => 0)
  const byAge = [...things].sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id))
  for (const { id } of byAge) {
    if (strokes.has(id)) continue
    const least = Math.min(...uses)
    const wanted = hash(id) % COLORS.length
    const at = COLORS.map((_, i) => (wanted + i) % COLORS.length).find((i) => uses[i] === least)!
    strokes.set(id, { color: COLORS[at]!, dash: DASHES[(at + least) % DASHES.length]! })
    uses[at]!++
  }
  return strokes
}

/** Runs of a comparison by id: those trained without teachers are what others have to beat, in greys. */
export function runStrokes(runs: readonly (Drawn & { method: string })[]): ReadonlyMap<string, Stroke> {
  const baselines = runs.filter(({ method }) => method === 'cross-entropy')
  const strokes = new Map(strokesOf(runs.filter(({ method }) => method !== 'cross-entropy')))
  const byAge = [...baselines].sort((a, b) => a.createdAt.localeCompare(b.createdAt))
  for (const [i, { id }] of byAge.entries())
    strokes.set(id, { color: GREYS[i % GREYS.length]!, dash: DASHES[i % DASHES.length]! })
  return strokes
}

/** Teachers by id: those of the library, then those of a run that are there no more. */
export function teacherStrokes(
  library: readonly Drawn[],
  others: readonly { id: string }[] = [],
): ReadonlyMap<string, Stroke> {
  const gone = others.filter(({ id }) => !library.some((row) => row.id === id))
  return strokesOf([...library, ...gone.map(({ id }) => ({ id, createdAt: '9' }))])
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}
