/** A merge of two ids into one; its place is its rank. */
export type Merge = readonly [left: number, right: number, id: number]

/** Symbols from which on a heap finds the next merge: below it looking at all of them is faster. */
const LONG = 48
/** Words remembered with their tokens, and how long one is at most. */
const CACHE = 200_000
const LONGEST = 64

/**
 * Byte-pair encoding (Sennrich et al. 2016) of the symbols of a word: the pair of the lowest rank is merged, of several
 * of them the first, until there is none.
 *
 * @param size ids are below it
 */
export function createMerger(size: number, merges: Iterable<Merge>): (ids: number[]) => number[] {
  const ranks = new Map<number, number>()
  const merged: number[] = []
  for (const [left, right, id] of merges) {
    ranks.set(left * size + right, merged.length)
    merged.push(id)
  }
  const rankOf = (left: number, right: number) => ranks.get(left * size + right) ?? Infinity

  function short(ids: number[]): number[] {
    for (;;) {
      let [best, at] = [Infinity, -1]
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = rankOf(ids[i]!, ids[i + 1]!)
        if (rank < best) [best, at] = [rank, i]
      }
      if (at < 0) return ids
      ids.splice(at, 2, merged[best]!)
    }
  }

  /** The same with n log n comparisons: merges that are possible wait in a heap, by rank and then by place. */
  function long(ids: number[]): number[] {
    const next = ids.map((_, i) => (i + 1 < ids.length ? i + 1 : -1))
    const before = ids.map((_, i) => i - 1)
    const heap: { rank: number; at: number }[] = []
    const sooner = (i: number, j: number) => {
      const [a, b] = [heap[i]!, heap[j]!]
      return a.rank < b.rank || (a.rank === b.rank && a.at < b.at)
    }
    const swap = (i: number, j: number) => ([heap[i], heap[j]] = [heap[j]!, heap[i]!])
    const push = (at: number) => {
      if (at < 0 || next[at]! < 0) return
      const rank = rankOf(ids[at]!, ids[next[at]!]!)
      if (rank === Infinity) return
      heap.push({ rank, at })
      for (let i = heap.length - 1; i > 0 && sooner(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1)
    }
    const pop = () => {
      swap(0, heap.length - 1)
      const top = heap.pop()!
      for (let i = 0; ;) {
        let least = i
        for (const child of [2 * i + 1, 2 * i + 2])
          if (child < heap.length && sooner(child, least)) least = child
        if (least === i) return top
        swap(i, least)
        i = least
      }
    }
    for (const at of ids.keys()) push(at)
    while (heap.length) {
      const { rank, at } = pop()
      const right = next[at]!
      // Of another pair since it waits.
      if (ids[at]! < 0 || right < 0 || rankOf(ids[at]!, ids[right]!) !== rank) continue
      ids[at] = merged[rank]!
      ids[right] = -1
      next[at] = next[right]!
      if (next[at] >= 0) before[next[at]] = at
      push(before[at]!)
      push(at)
    }
    return ids.filter((id) => id >= 0)
  }
  return (ids) => (ids.length < LONG ? short(ids) : long(ids))
}

/** The same function, whose last answers are remembered. */
export function remembered(encode: (word: string) => readonly number[]): (word: string) => readonly number[] {
  const cache = new Map<string, readonly number[]>()
  return (word) => {
    const known = cache.get(word)
    if (known) return known
    const ids = encode(word)
    if (word.length > LONGEST) return ids
    if (cache.size >= CACHE) cache.clear()
    cache.set(word, ids)
    return ids
  }
}
