import type { Random } from '../random'

/** Where a sequence begins and ends in a source's ids: its inputs without the last, its targets without the first. */
export interface Place {
  start: number
  end: number
}

/** The first of a document's tokens, as many as a sequence holds. */
export function cutDocuments(documents: Int32Array, context: number): Place[] {
  return Array.from({ length: documents.length / 2 }, (_, i) => {
    const [start, end] = [documents[2 * i]!, documents[2 * i + 1]!]
    return { start, end: Math.min(end, start + context + 1) }
  })
}

/** Inputs of a place. */
const sizeOf = ({ start, end }: Place) => end - start - 1

/**
 * Puts examples together into sequences of at most `context` inputs, each example into one: the longest first, each
 * where it leaves the least room (best-fit decreasing, Johnson 1973: at most 11/9 of the fewest sequences). Those of the
 * same length come in a drawn order, so that neighbours in the text are not neighbours here.
 */
export function packed(places: readonly Place[], context: number, random: Random): Place[][] {
  const order = [...places]
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.integer(i + 1)
    ;[order[i], order[other]] = [order[other]!, order[i]!]
  }
  order.sort((a, b) => sizeOf(b) - sizeOf(a))
  const sequences: Place[][] = []
  /** By the room that is left. */
  const open: Place[][][] = Array.from({ length: context + 1 }, () => [])
  for (const place of order) {
    const size = sizeOf(place)
    let room = size
    while (room < context && !open[room]!.length) room++
    const sequence = open[room]!.pop() ?? []
    if (!sequence.length) sequences.push(sequence)
    sequence.push(place)
    open[room - size]!.push(sequence)
  }
  return sequences
}

/** Writes the positions of an example, or of padding, whose tokens stand from one place to before another. */
export function countFrom(positions: Int32Array, from: number, to: number): void {
  for (let at = from; at < to; at++) positions[at] = at - from
}
