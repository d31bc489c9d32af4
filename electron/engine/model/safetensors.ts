import { z } from 'zod'
import { badInput } from '#contract'
import type { Weights } from './weights'

/**
 * The safetensors format: eight bytes of header length, a JSON header of name to {dtype, shape, data_offsets}, then
 * the data. What is read is F32, F16 or BF16; what is written is F32, sorted by name, so that the same weights give
 * the same bytes.
 */
const BYTES = { F32: 4, F16: 2, BF16: 2 } as const
type StoredType = keyof typeof BYTES
const MAX_HEADER = 100_000_000

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})

export function encodeSafetensors(weights: Weights, metadata: Record<string, string> = {}): Uint8Array {
  const names = [...weights.keys()].sort()
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } }
  let offset = 0
  for (const name of names) {
    const { shape, data } = weights.get(name)!
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Math.ceil(text.length / 8) * 8
  const bytes = Buffer.alloc(8 + padded + offset, ' ')
  bytes.writeBigUInt64LE(BigInt(padded), 0)
  text.copy(bytes, 8)
  let at = 8 + padded
  for (const name of names) {
    const { data } = weights.get(name)!
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).copy(bytes, at)
    at += data.byteLength
  }
  return bytes
}

/** @throws bad-input naming file and tensor when the header or a range does not hold */
export function decodeSafetensors(bytes: Uint8Array, file: string): Weights {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { header, start } = readHeader(buffer, file)
  const weights: Weights = new Map()
  const ranges: { name: string; begin: number; end: number }[] = []
  for (const [name, raw] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const parsed = entry.safeParse(raw)
    if (!parsed.success) throw badInput('the header entry is not one of safetensors', { file, field: name })
    const { dtype, shape, data_offsets: offsets } = parsed.data
    if (!(dtype in BYTES)) {
      throw badInput(`the dtype ${dtype} is not supported`, {
        file,
        field: name,
        expected: 'F32, F16 or BF16',
      })
    }
    const [begin, end] = [start + offsets[0], start + offsets[1]]
    const size = shape.reduce((a, b) => a * b, 1)
    const expected = size * BYTES[dtype as StoredType]
    if (end - begin !== expected) {
      throw badInput(`the data has ${end - begin} bytes`, {
        file,
        field: name,
        expected: `${expected} bytes for its shape`,
      })
    }
    if (end > buffer.length) {
      throw badInput(`the file ends at byte ${buffer.length}`, {
        file,
        field: name,
        expected: `data up to byte ${end}`,
      })
    }
    ranges.push({ name, begin, end })
    weights.set(name, { shape, data: toFloat32(buffer.subarray(begin, end), dtype as StoredType, size) })
  }
  checkOverlap(ranges, file)
  return weights
}

function readHeader(buffer: Buffer, file: string): { header: Record<string, unknown>; start: number } {
  if (buffer.length < 8) {
    throw badInput(`the file has ${buffer.length} bytes`, { file, expected: 'a safetensors header' })
  }
  const length = Number(buffer.readBigUInt64LE(0))
  if (length > MAX_HEADER || 8 + length > buffer.length) {
    throw badInput(`the header is said to have ${length} bytes, the file has ${buffer.length}`, {
      file,
      expected: 'a whole safetensors file',
    })
  }
  try {
    const header: unknown = JSON.parse(buffer.toString('utf8', 8, 8 + length))
    if (typeof header === 'object' && header !== null) {
      return { header: header as Record<string, unknown>, start: 8 + length }
    }
  } catch {
    // Said below.
  }
  throw badInput('the header is not JSON', { file, expected: 'a safetensors file' })
}

function checkOverlap(ranges: { name: string; begin: number; end: number }[], file: string): void {
  ranges.sort((a, b) => a.begin - b.begin)
  for (const [i, range] of ranges.entries()) {
    const before = ranges[i - 1]
    if (before && before.end > range.begin) {
      throw badInput(`the data overlaps that of ${before.name}`, { file, field: range.name })
    }
  }
}

function toFloat32(bytes: Buffer, dtype: StoredType, size: number): Float32Array {
  const result = new Float32Array(size)
  if (dtype === 'F32') {
    Buffer.from(result.buffer).set(bytes)
    return result
  }
  const bits = new Uint32Array(result.buffer)
  for (let i = 0; i < size; i++) {
    const half = bytes.readUInt16LE(i * 2)
    if (dtype === 'BF16') bits[i] = half << 16
    else result[i] = float16(half)
  }
  return result
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
