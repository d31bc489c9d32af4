import { headSize, type ModelConfig } from '#contract'

/** The shortest cache that a graph is compiled for; shorter ones are masked. Longer ones are multiples of it. */
const SHORTEST = 64
/** Memory for the caches of texts that are read side by side. */
const MOST_BYTES = 2 ** 30
/** Numbers before the cache's own: the first counts what was written, so that Replay tells one cache from the next. */
const BEFORE = 16

/** Keys or values of new tokens: [2 * layers * rows * kvHeads, stride, head size], keys before values in each layer. */
export interface NewRows {
  data: Float32Array
  rows: number
  stride: number
}

/** Where the first `count` tokens of one of the rows belong. */
export interface Place {
  row: number
  slot: number
  position: number
  count: number
}

/** Keys and values of the tokens of several texts that were read, on the host, in one array; each text has a slot. */
export class KvCache {
  /** Tokens of a text that there is room for. */
  room = 0
  /** All of it. Of each layer the keys of all texts, then their values: [texts, kvHeads, room, head size]. */
  data = new Float32Array(BEFORE)
  readonly slots: number
  private readonly longest: number
  /** Numbers of a token: of one layer's keys. */
  private readonly row: number

  /**
   * @param texts side by side at most; fewer, where their caches would take too much memory
   * @param length of a text at most, in tokens
   */
  constructor(
    private readonly config: ModelConfig,
    texts: number,
    length: number,
  ) {
    this.longest = SHORTEST * Math.ceil(Math.min(length, config.context) / SHORTEST)
    this.row = config.kvHeads * headSize(config)
    const bytes = 8 * config.layers * this.row * this.longest
    this.slots = Math.max(1, Math.min(texts, Math.floor(MOST_BYTES / bytes)))
  }

  /** The keys of a layer in the first slots. */
  keys(layer: number, slots: number): Float32Array {
    return this.part(2 * layer, slots)
  }

  values(layer: number, slots: number): Float32Array {
    return this.part(2 * layer + 1, slots)
  }

  /** Writes new tokens' keys and values, and makes room for them. */
  write({ data: from, rows, stride }: NewRows, places: readonly Place[]): void {
    this.reserve(Math.max(...places.map(({ position, count }) => position + count)))
    const { data, room } = this
    const { kvHeads, layers } = this.config
    const size = this.row / kvHeads
    data[0]!++
    for (let part = 0; part < 2 * layers; part++) {
      for (const { row, slot, position, count } of places) {
        for (let head = 0; head < kvHeads; head++) {
          const at = ((part * rows + row) * kvHeads + head) * stride * size
          const to = this.begin(part, slot) + (head * room + position) * size
          data.set(from.subarray(at, at + count * size), to)
        }
      }
    }
  }

  /** Copies what a slot holds to another one. */
  move(from: number, to: number): void {
    for (let part = 0; part < 2 * this.config.layers; part++) {
      const at = this.begin(part, from)
      this.data.copyWithin(this.begin(part, to), at, at + this.room * this.row)
    }
  }

  private begin(part: number, slot: number): number {
    return BEFORE + (part * this.slots + slot) * this.room * this.row
  }

  private part(part: number, slots: number): Float32Array {
    return this.data.subarray(this.begin(part, 0), this.begin(part, slots))
  }

  /** Makes it long enough, in one of a few lengths. */
  private reserve(length: number): void {
    if (length <= this.room) return
    const { data: before, room, row, slots } = this
    const { layers, kvHeads } = this.config
    const longer = bucket(length, SHORTEST, this.longest)
    const heads = 2 * layers * slots * kvHeads
    const [from, to] = [room, longer].map((tokens) => (tokens * row) / kvHeads) as [number, number]
    const data = new Float32Array(BEFORE + heads * to)
    data[0] = before[0]!
    for (let i = 0; from && i < heads; i++)
      data.set(before.subarray(BEFORE + i * from, BEFORE + (i + 1) * from), BEFORE + i * to)
    this.data = data
    this.room = longer
  }
}

/** The power of two from `least` on that `length` fits into, at most `most`. */
export function bucket(length: number, least: number, most: number): number {
  let size = least
  while (size < length) size *= 2
  return Math.min(size, most)
}
