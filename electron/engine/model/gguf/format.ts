/**
 * The GGUF format, version 3, little-endian: `GGUF`, version, counts of tensors and of metadata; the metadata; of each
 * tensor its name, dimensions (the fastest first), type and place; the data, each tensor at a multiple of 32 bytes.
 */
const VERSION = 3
const ALIGNMENT = 32

const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8 } as const
const ARRAY = 9
type ValueType = keyof typeof VALUE_TYPES

/** A value of the metadata, or a list of values of one type. */
export type Value =
  | { type: 'uint32' | 'int32' | 'float32'; value: number | readonly number[] }
  | { type: 'bool'; value: boolean | readonly boolean[] }
  | { type: 'string'; value: string | readonly string[] }

export type Metadata = Map<string, Value>

/** What numbers are stored as, by ggml's numbers for it. */
export const tensorTypes = { f32: 0, f16: 1, q8_0: 8 } as const
export type TensorType = keyof typeof tensorTypes

export interface StoredTensor {
  name: string
  /** Rows first, as everywhere here. */
  shape: readonly number[]
  type: TensorType
  bytes: Uint8Array
}

/** A file's bytes in parts, one after the other; the tensors' own are not copied. */
export function ggufParts(metadata: Metadata, tensors: readonly StoredTensor[]): Uint8Array[] {
  const head = new Bytes()
  head.raw(Buffer.from('GGUF'))
  head.uint32(VERSION)
  head.uint64(tensors.length)
  head.uint64(metadata.size)
  for (const [key, { type, value }] of metadata) {
    head.string(key)
    const list = Array.isArray(value)
    head.uint32(list ? ARRAY : VALUE_TYPES[type])
    if (list) {
      head.uint32(VALUE_TYPES[type])
      head.uint64(value.length)
    }
    for (const one of (list ? value : [value]) as (number | boolean | string)[]) head.value(type, one)
  }
  let place = 0
  for (const { name, shape, type, bytes } of tensors) {
    head.string(name)
    head.uint32(shape.length)
    for (const size of [...shape].reverse()) head.uint64(size)
    head.uint32(tensorTypes[type])
    head.uint64(place)
    place = aligned(place + bytes.length)
  }
  const first = head.bytes()
  return [first, padding(first.length), ...tensors.flatMap(({ bytes }) => [bytes, padding(bytes.length)])]
}

const aligned = (at: number) => Math.ceil(at / ALIGNMENT) * ALIGNMENT
const padding = (length: number) => new Uint8Array(aligned(length) - length)

/** Bytes that grow. */
class Bytes {
  private readonly parts: Buffer[] = []

  raw(bytes: Buffer): void {
    this.parts.push(bytes)
  }

  uint32(value: number): void {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    this.raw(bytes)
  }

  uint64(value: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(BigInt(value))
    this.raw(bytes)
  }

  string(text: string): void {
    const bytes = Buffer.from(text)
    this.uint64(bytes.length)
    this.raw(bytes)
  }

  value(type: ValueType, value: number | boolean | string): void {
    if (type === 'string') return this.string(value as string)
    if (type === 'bool') return this.raw(Buffer.from([value ? 1 : 0]))
    const bytes = Buffer.alloc(4)
    if (type === 'float32') bytes.writeFloatLE(value as number)
    else if (type === 'int32') bytes.writeInt32LE(value as number)
    else bytes.writeUInt32LE(value as number)
    this.raw(bytes)
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts)
  }
}
