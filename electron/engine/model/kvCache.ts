import { headSize, type ModelConfig } from '#contract'

/** The shortest cache that a graph is compiled for; shorter ones are masked. */
const SHORTEST = 64

/**
 * Keys and values of the tokens that were read, on the host, in one array. Keys lie transposed, because ONNX Runtime
 * multiplies a single row with such a matrix directly and packs the other first.
 */
export class KvCache {
  /** Tokens that there is room for. */
  room = 0
  /** All of it: of each layer its keys, then its values. */
  data = new Float32Array()
  /** Per layer [kvHeads, head size, room]. */
  keys: Float32Array[] = []
  /** Per layer [kvHeads, room, head size]. */
  values: Float32Array[] = []
  private readonly size: number

  constructor(private readonly config: ModelConfig) {
    this.size = headSize(config)
  }

  /**
   * Writes the first `count` of the new tokens' keys and values from `position` on, and makes room for them.
   *
   * @param rows [2 * layers * kvHeads, stride, head size]
   */
  write(rows: Float32Array, stride: number, position: number, count: number): void {
    this.reserve(position + count)
    const { room, size } = this
    const { kvHeads, layers } = this.config
    for (let layer = 0; layer < layers; layer++) {
      const [keys, values] = [this.keys[layer]!, this.values[layer]!]
      for (let head = 0; head < kvHeads; head++) {
        const key = (2 * layer * kvHeads + head) * stride * size
        const value = ((2 * layer + 1) * kvHeads + head) * stride * size
        values.set(rows.subarray(value, value + count * size), (head * room + position) * size)
        for (let t = 0; t < count; t++) {
          for (let i = 0; i < size; i++)
            keys[(head * size + i) * room + position + t] = rows[key + t * size + i]!
        }
      }
    }
  }

  /** Makes it long enough, in one of a few lengths. */
  private reserve(length: number): void {
    if (length <= this.room) return
    const { size, room: before, keys, values } = this
    const { layers, kvHeads, context } = this.config
    const room = bucket(length, SHORTEST, context)
    const each = kvHeads * size * room
    this.data = new Float32Array(2 * layers * each)
    const part = (at: number) => this.data.subarray(at * each, (at + 1) * each)
    /** The same rows, each longer. */
    const widen = (old: Float32Array | undefined, wide: Float32Array, count: number, row: number) => {
      const [from, to] = [before * row, room * row]
      for (let i = 0; old && i < count; i++) wide.set(old.subarray(i * from, (i + 1) * from), i * to)
      return wide
    }
    const every = Array.from({ length: layers }, (_, layer) => layer)
    this.keys = every.map((l) => widen(keys[l], part(2 * l), kvHeads * size, 1))
    this.values = every.map((l) => widen(values[l], part(2 * l + 1), kvHeads, size))
    this.room = room
  }
}

/** The power of two from `least` on that `length` fits into, at most `most`. */
export function bucket(length: number, least: number, most: number): number {
  let size = least
  while (size < length) size *= 2
  return Math.min(size, most)
}
