import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { badInput } from '#contract'
import { halfValues } from '../teachers/cache/half'
import type { Stored, Weight, Weights } from './weights'

/**
 * The safetensors format: eight bytes of header length, a JSON header of name to {dtype, shape, data_offsets}, then
 * the data. What is read is F32, F16 or BF16.
 */
const HALVES = { F32: undefined, F16: 'f16', BF16: 'bf16' } as const
type StoredType = keyof typeof HALVES
const MAX_HEADER = 100_000_000
/** Bytes of a half-precision tensor that are read at a time. */
const PART = 1 << 22

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})

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
  private part: Uint16Array | undefined

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
    checkCover(this.places, start, source)
  }

  get names(): Iterable<string> {
    return this.places.keys()
  }

  get file(): string {
    return this.source.file
  }

  /** @throws bad-input when the tensor is of another type than can be read, or its range is not its shape's */
  stored(name: string): Stored {
    const { file } = this.source
    const { dtype, shape, begin, end } = this.places.get(name)!
    if (!Object.hasOwn(HALVES, dtype)) {
      throw badInput(`the dtype ${dtype} is not supported`, {
        file,
        field: name,
        expected: 'F32, F16 or BF16',
      })
    }
    const half = HALVES[dtype as StoredType]
    const expected = sizeOf(shape) * (half ? 2 : 4)
    if (end - begin !== expected) {
      throw badInput(`the data has ${end - begin} bytes`, {
        file,
        field: name,
        expected: `${expected} bytes for its shape`,
      })
    }
    return { shape, ...(half && { half }) }
  }

  /** @throws as `stored` */
  read(name: string): Weight {
    const stored = this.stored(name)
    return { ...stored, data: this.values(name, stored, 0, sizeOf(stored.shape)) }
  }

  /**
   * Some of a tensor's numbers.
   *
   * @param from the first of them, in the order in which they lie
   * @throws as `stored`
   */
  readSome(name: string, from: number, count: number): Float32Array {
    return this.values(name, this.stored(name), from, count)
  }

  close(): void {
    this.source.close?.()
  }

  private values(name: string, { half }: Stored, from: number, count: number): Float32Array {
    const { begin } = this.places.get(name)!
    const data = new Float32Array(count)
    if (half) this.readHalf(begin + 2 * from, data, half === 'bf16')
    else this.source.read(begin + 4 * from, new Uint8Array(data.buffer))
    return data
  }

  private readHalf(begin: number, data: Float32Array, brain: boolean): void {
    const bits = new Uint32Array(data.buffer)
    const part = (this.part ??= new Uint16Array(PART / 2))
    const values = brain ? undefined : halfValues()
    for (let from = 0; from < data.length; from += part.length) {
      const count = Math.min(part.length, data.length - from)
      this.source.read(begin + 2 * from, new Uint8Array(part.buffer, 0, 2 * count))
      if (values) for (let i = 0; i < count; i++) data[from + i] = values[part[i]!]!
      else for (let i = 0; i < count; i++) bits[from + i] = part[i]! << 16
    }
  }
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

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

/** The data of all tensors is the rest of the file, without a hole, as safetensors' own reader asks for. */
function checkCover(places: ReadonlyMap<string, Place>, start: number, { file, size }: Source): void {
  const ranges = [...places].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let at = start
  let before = ''
  for (const [name, { begin, end }] of ranges) {
    if (begin < at) throw badInput(`the data overlaps that of ${before}`, { file, field: name })
    if (begin > at)
      throw badInput(`before its data are ${begin - at} bytes of no tensor`, {
        file,
        field: name,
        expected: `data from byte ${at}`,
      })
    ;[at, before] = [end, name]
  }
  if (at === size) return
  throw badInput(`after its last tensor are ${size - at} bytes of no tensor`, {
    file,
    expected: `a file of ${at} bytes`,
  })
}
