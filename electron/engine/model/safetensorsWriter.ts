import { fillFileAtomic } from '../../files'
import { storedAs, storedAsRead } from './storedTypes'
import type { Stored, Weights, WeightSource } from './weights'

/** Safetensors files (`safetensors.ts`), sorted by name, so that the same weights give the same bytes. */

/** A file's bytes in parts, one after the other: in f32 the weights' own arrays, not copied. */
export function safetensorsParts(weights: Weights, dtype: 'f32' | 'bf16' = 'f32'): Uint8Array[] {
  const half = dtype === 'f32' ? {} : { half: dtype }
  const tensors = new Map([...weights].map(([name, { shape }]) => [name, { shape, ...half }]))
  const { head, places } = layout(tensors)
  return [head, ...[...places.keys()].map((name) => storedAs(dtype, weights.get(name)!.data, name))]
}

export function encodeSafetensors(weights: Weights): Uint8Array {
  return Buffer.concat(safetensorsParts(weights))
}

/** Writes a file tensor by tensor, each in the type that it was read from. */
export function writeSafetensors(file: string, { tensors, values }: WeightSource): void {
  const { head, places, size } = layout(tensors)
  fillFileAtomic(file, size, (write) => {
    write(0, head)
    for (const [name, weight] of values()) write(places.get(name)!, storedAsRead(weight, name))
  })
}

/** The beginning of a file, where each tensor lies, in the order in which they lie, and how large it is. */
function layout(tensors: ReadonlyMap<string, Stored>): {
  head: Uint8Array
  places: Map<string, number>
  size: number
} {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  const offsets = new Map<string, number>()
  let offset = 0
  for (const [name, { shape, half }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const end = offset + (half ? 2 : 4) * shape.reduce((a, b) => a * b, 1)
    header[name] = { dtype: (half ?? 'f32').toUpperCase(), shape, data_offsets: [offset, end] }
    offsets.set(name, offset)
    offset = end
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Math.ceil(text.length / 8) * 8
  const head = Buffer.alloc(8 + padded, ' ')
  head.writeBigUInt64LE(BigInt(padded), 0)
  text.copy(head, 8)
  const places = new Map([...offsets].map(([name, at]) => [name, head.length + at]))
  return { head, places, size: head.length + offset }
}
