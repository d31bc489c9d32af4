import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { badInput } from '#contract'
import { storedAs } from './storedTypes'
import type { Weights } from './weights'

/**
 * The safetensors format: eight bytes of header length, a JSON header of name to {dtype, shape, data_offsets}, then
 * the data. What is read is F32, F16 or BF16; what is written is F32 or BF16, sorted by name, so that the same weights give
 * the same bytes.
 */
const BYTES = { F32: 4, F16: 2, BF16: 2 } as const
type StoredType = keyof typeof BYTES
const MAX_HEADER = 100_000_000
/** Bytes of a half-precision tensor that are read at a time. */
const PART = 1 << 22

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})

/** A file's bytes in parts, one after the other: in f32 the weights' own arrays, not copied. */
export function safetensorsParts(weights: Weights, dtype: 'f32' | 'bf16' = 'f32'): Uint8Array[] {
  const names = [...weights.keys()].sort()
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  let offset = 0
  const bodies = names.map((name) => storedAs(dtype, weights.get(name)!.data, name))
  for (const [i, name] of names.entries()) {
    const { shape } = weights.get(name)!
    const end = offset + bodies[i]!.length
    header[name] = { dtype: dtype.toUpperCase(), shape, data_offsets: [offset, end] }
    offset = end
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Math.ceil(text.length / 8) * 8
  const head = Buffer.alloc(8 + padded, ' ')
  head.writeBigUInt64LE(BigInt(padded), 0)
  text.copy(head, 8)
  return [head, ...bodies]
}

export function encodeSafetensors(weights: Weights): Uint8Array {
  return Buffer.concat(safetensorsParts(weights))
}

/** @throws bad-input naming file and tensor when the header or a range does not hold */
export function decodeSafetensors(bytes: Uint8Array, file: string): Weights {
  return readAll(
    new Tensors({
      file,
      size: bytes.length,
      read: (at, into) => into.set(bytes.subarray(at, at + into.length)),
    }),
  )
}

/**
 * Reads a file tensor by tensor, so that beside the weights nothing of its size is held.
 *
 * @throws as `decodeSafetensors`, and where there is no such file
 */
export function readSafetensors(file: string): Weights {
  const tensors = openSafetensors(file)
  try {
    return readAll(tensors)
  } finally {
    tensors.close()
  }
}

/** Opens a file, whose tensors are then read by name. */
export function openSafetensors(file: string): Tensors {
  if (!existsSync(file))
    throw badInput('the file is missing', { file, expected: 'the weights as safetensors' })
  const descriptor = openSync(file, 'r')
  try {
    return new Tensors({
      file,
      size: fstatSync(descriptor).size,
      read(at, into) {
        for (let done = 0; done < into.length;) {
          const count = readSync(descriptor, into, done, into.length - done, at + done)
          if (!count) throw badInput(`the file ends at byte ${at + done}`, { file })
          done += count
        }
      },
      close: () => closeSync(descriptor),
    })
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

function readAll(tensors: Tensors): Weights {
  return new Map([...tensors.names].map((name) => [name, tensors.read(name)]))
}

interface Source {
  file: string
  size: number
  /** Fills `into` with the bytes from `at` on. */
  read(at: number, into: Uint8Array): void
  close?(): void
}

interface Place {
  dtype: string
  shape: number[]
  begin: number
  end: number
}

/** The tensors of a file. What its header says is held against its size before anything of that size is made. */
export class Tensors {
  private readonly places = new Map<string, Place>()
  /** One for all tensors: what is thrown away is given back late. */
  private part: Buffer | undefined

  constructor(private readonly source: Source) {
    const { header, start } = readHeader(source)
    const { file, size: length } = source
    for (const [name, raw] of Object.entries(header)) {
      if (name === '__metadata__') continue
      const parsed = entry.safeParse(raw)
      if (!parsed.success) throw badInput('the header entry is not one of safetensors', { file, field: name })
      const { dtype, shape, data_offsets: offsets } = parsed.data
      const [begin, end] = [start + offsets[0], start + offsets[1]]
      if (end > length || begin > end)
        throw badInput(`the file ends at byte ${length}`, {
          file,
          field: name,
          expected: `data from byte ${begin} to ${end}`,
        })
      this.places.set(name, { dtype, shape, begin, end })
    }
    checkOverlap(this.places, file)
  }

  get names(): Iterable<string> {
    return this.places.keys()
  }

  get file(): string {
    return this.source.file
  }

  shapeOf(name: string): number[] {
    return this.places.get(name)!.shape
  }

  /** @throws bad-input when the tensor is of another type than can be read, or its range is not its shape's */
  read(name: string): { shape: number[]; data: Float32Array } {
    const { file } = this.source
    const { dtype, shape, begin, end } = this.places.get(name)!
    if (!Object.hasOwn(BYTES, dtype)) {
      throw badInput(`the dtype ${dtype} is not supported`, {
        file,
        field: name,
        expected: 'F32, F16 or BF16',
      })
    }
    const size = shape.reduce((a, b) => a * b, 1)
    const expected = size * BYTES[dtype as StoredType]
    if (end - begin !== expected) {
      throw badInput(`the data has ${end - begin} bytes`, {
        file,
        field: name,
        expected: `${expected} bytes for its shape`,
      })
    }
    const data = new Float32Array(size)
    if (dtype === 'F32') this.source.read(begin, new Uint8Array(data.buffer))
    else this.readHalf(begin, data, dtype === 'BF16')
    return { shape, data }
  }

  close(): void {
    this.source.close?.()
  }

  private readHalf(begin: number, data: Float32Array, brain: boolean): void {
    const bits = new Uint32Array(data.buffer)
    const part = (this.part ??= Buffer.alloc(PART))
    for (let from = 0; from < data.length; from += PART / 2) {
      const count = Math.min(PART / 2, data.length - from)
      this.source.read(begin + 2 * from, part.subarray(0, 2 * count))
      for (let i = 0; i < count; i++) {
        const half = part.readUInt16LE(i * 2)
        if (brain) bits[from + i] = half << 16
        else data[from + i] = float16(half)
      }
    }
  }
}

function readHeader(source: Source): { header: Record<string, unknown>; start: number } {
  const { file, size } = source
  if (size < 8) throw badInput(`the file has ${size} bytes`, { file, expected: 'a safetensors header' })
  const head = Buffer.alloc(8)
  source.read(0, head)
  const length = Number(head.readBigUInt64LE(0))
  if (length > MAX_HEADER || 8 + length > size) {
    throw badInput(`the header is said to have ${length} bytes, the file has ${size}`, {
      file,
      expected: 'a whole safetensors file',
    })
  }
  const text = Buffer.alloc(length)
  source.read(8, text)
  try {
    const header: unknown = JSON.parse(text.toString('utf8'))
    if (typeof header === 'object' && header !== null) {
      return { header: header as Record<string, unknown>, start: 8 + length }
    }
  } catch {
    // Said below.
  }
  throw badInput('the header is not JSON', { file, expected: 'a safetensors file' })
}

function checkOverlap(places: ReadonlyMap<string, Place>, file: string): void {
  const ranges = [...places].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  for (const [i, [name, { begin }]] of ranges.entries()) {
    const before = ranges[i - 1]
    if (before && before[1].end > begin)
      throw badInput(`the data overlaps that of ${before[0]}`, { file, field: name })
  }
}

/** IEEE 754 binary16. */
function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
