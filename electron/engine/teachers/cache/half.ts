/** IEEE 754 half precision, for hidden states: 11 significant bits, up to 65504. */
const scratch = new Float32Array(1)
const bits = new Uint32Array(scratch.buffer)

/** Rounds to the nearest half, ties to even; what is too large becomes infinite. */
export function toHalf(values: Float32Array): Buffer {
  const out = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    scratch[0] = values[i]!
    const x = bits[0]!
    const sign = (x >>> 16) & 0x8000
    const magnitude = x & 0x7fffffff
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00
    else if (magnitude < 0x38800000) {
      // Below the smallest normal half: a multiple of 2^-24.
      scratch[0] = Math.abs(values[i]!) * 2 ** 24
      const down = Math.floor(scratch[0])
      const rest = scratch[0] - down
      out[i] = sign | (rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down)
    } else {
      const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
      out[i] = sign | ((rounded - 0x38000000) >>> 13)
    }
  }
  return Buffer.from(out.buffer)
}

let table: Float32Array | undefined

/** What each half is, by its 16 bits. */
export function halfValues(): Float32Array {
  return (table ??= Float32Array.from({ length: 65536 }, (_, h) => halfValue(h)))
}

export function fromHalf(bytes: Buffer): Float32Array {
  const table = halfValues()
  const out = new Float32Array(bytes.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = table[bytes.readUInt16LE(i * 2)]!
  return out
}

function halfValue(h: number): number {
  const sign = h & 0x8000 ? -1 : 1
  const exponent = (h >>> 10) & 0x1f
  const fraction = h & 0x3ff
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * fraction * 2 ** -24
}
