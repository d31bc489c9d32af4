import { badInput, type ExportDtype } from '#contract'
import { fromHalf, toHalf } from '../teachers/cache/half'
import type { Half, Weight } from './weights'

/** The largest finite number of float16. */
const LARGEST_HALF = 65504

/** Numbers that share a scale in q8_0. */
export const BLOCK = 32

/**
 * Numbers as a file holds them: themselves, rounded to float16 or bfloat16 (ties to even), or ggml's q8_0.
 *
 * @throws bad-input where a number is too large for the type
 */
export function storedAs(dtype: ExportDtype, data: Float32Array, name: string): Uint8Array {
  switch (dtype) {
    case 'f32':
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    case 'f16':
      checkRange(data, name)
      return toHalf(data)
    case 'bf16':
      return toBrainHalf(data)
    case 'q8_0':
      checkRange(data, name)
      return toBlocks(data)
  }
}

/** Numbers as they lay in the file that they come from: halves where they were read from halves. */
export function storedAsRead({ data, half }: Weight, name: string): Uint8Array {
  const bytes = storedAs(half ?? 'f32', data, name)
  if (half && !holds(half, bytes, data)) throw new Error(`"${name}" has numbers that ${half} does not hold`)
  return bytes
}

function holds(half: Half, bytes: Uint8Array, data: Float32Array): boolean {
  if (half === 'bf16')
    return new Uint32Array(data.buffer, data.byteOffset, data.length).every((bits) => !(bits & 0xffff))
  const again = fromHalf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return again.every((value, i) => value === data[i])
}

function checkRange(data: Float32Array, name: string): void {
  const large = data.find((value) => Math.abs(value) > LARGEST_HALF)
  if (large === undefined) return
  throw badInput(`"${name}" has the value ${large}, which float16 cannot hold`, {
    field: 'dtype',
    expected: 'f32',
  })
}

function toBrainHalf(data: Float32Array): Uint8Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length)
  const halves = new Uint16Array(data.length)
  for (let i = 0; i < halves.length; i++) halves[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) >>> 16
  return new Uint8Array(halves.buffer)
}

/** Blocks of 32: a float16 scale, the largest number by 127, and each number over it as int8. */
function toBlocks(data: Float32Array): Uint8Array {
  const blocks = data.length / BLOCK
  const bytes = new Uint8Array(blocks * (2 + BLOCK))
  const scales = new Float32Array(blocks)
  for (let b = 0; b < blocks; b++)
    for (let i = 0; i < BLOCK; i++) scales[b] = Math.max(scales[b]!, Math.abs(data[b * BLOCK + i]!) / 127)
  const halves = toHalf(scales)
  for (let b = 0; b < blocks; b++) {
    const at = b * (2 + BLOCK)
    bytes.set(halves.subarray(2 * b, 2 * b + 2), at)
    const over = scales[b] ? 1 / scales[b]! : 0
    for (let i = 0; i < BLOCK; i++) {
      const quotient = data[b * BLOCK + i]! * over
      // Away from zero at a half, as ggml rounds.
      bytes[at + 2 + i] = Math.sign(quotient) * Math.floor(Math.abs(quotient) + 0.5)
    }
  }
  return bytes
}
