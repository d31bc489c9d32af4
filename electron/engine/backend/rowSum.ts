import type { Data, Value } from './graph'
import type { OutputMemory } from './outputs'

/** `value`, the sum of `a` and `b`, as a sum of rows if one of the two is. */
export function sumWithRows(value: Value, a: Value, b: Value, add: (a: Value, b: Value) => Value): Value {
  const [other, of] = a.rowSum ? [b, a.rowSum] : [a, b.rowSum]
  if (!of || other.rowSum || other.shape.join() !== value.shape.join()) return value
  value.rowSum = { ...of, target: of.target ? add(other, of.target) : other }
  return value
}

/** Sums of rows that somebody waits for, finished by the host when their parts have been computed. */
export class RowSums {
  /** What is to be computed: the sums' parts, and all else that is waited for. */
  readonly parts: Value[]
  private readonly shared: ReadonlySet<Value | undefined>

  private constructor(
    private readonly sums: readonly Value[],
    pending: readonly Value[],
  ) {
    const parts = sums.flatMap(({ rowSum: { target, updates } = {} }) => [target, updates])
    const unknown = parts.filter((part): part is Value => part !== undefined && !part.ready)
    this.parts = [...new Set([...pending.filter(({ rowSum }) => !rowSum), ...unknown])]
    // Somebody else's too: what is waited for, a part of two sums, and what was there before, perhaps a caller's array.
    const known = parts.filter((part) => part?.ready)
    this.shared = new Set([...pending, ...known, ...parts.filter((part, i) => parts.indexOf(part) < i)])
  }

  static among(pending: readonly Value[]): RowSums | undefined {
    const sums = pending.filter(({ rowSum }) => rowSum)
    return sums.length ? new RowSums(sums, pending) : undefined
  }

  finish(outputs: OutputMemory): void {
    for (const sum of this.sums) {
      const { target, places, updates } = sum.rowSum!
      const table = target ? this.take(target, outputs) : new Float32Array(sum.size)
      addRows(table, sum.shape[0]!, places, updates.data as Float32Array)
      sum.rowSum = sum.op = undefined
      outputs.adopt(sum, table)
    }
  }

  /** The data of a value, to be written to: its own if nobody else asks for it, else a copy. */
  private take(value: Value, outputs: OutputMemory): Float32Array {
    const data = value.data as Float32Array
    if (value.live > 0 || value.shared || this.shared.has(value)) return data.slice()
    value.data = undefined
    return outputs.lend(data) as Float32Array
  }
}

/** Adds rows to a table of floats, in place and in order. */
function addRows(table: Float32Array, rows: number, places: Data, updates: Float32Array): void {
  const width = table.length / rows
  for (const [i, place] of places.entries()) {
    if (place < 0 || place >= rows) continue
    const at = place * width
    const from = i * width
    for (let j = 0; j < width; j++) table[at + j]! += updates[from + j]!
  }
}
