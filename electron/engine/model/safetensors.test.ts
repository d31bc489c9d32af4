import { describe, expect, it } from 'vitest'
import { decodeSafetensors } from './safetensors'
import { encodeSafetensors } from './safetensorsWriter'

describe('safetensors', () => {
  const weights = new Map([
    ['b', { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 1e-30) }],
    ['a', { shape: [], data: Float32Array.of(7) }],
    ['empty', { shape: [0, 3], data: new Float32Array(0) }],
  ])

  it('gives back what was written, and the same bytes for the same weights in any order', () => {
    const bytes = encodeSafetensors(weights)
    const again = decodeSafetensors(bytes, 'w')
    for (const [name, value] of weights) expect(again.get(name)).toEqual(value)
    expect(encodeSafetensors(new Map([...weights].reverse()))).toEqual(bytes)
  })

  it('reads half and brain floats', () => {
    const header = Buffer.from(
      '{"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[6,10]}}',
    )
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(header.length))
    // 1.5, -2, the smallest subnormal half; 1.0, -0.5 as upper halves of float32.
    const body = Buffer.from([0x00, 0x3e, 0x00, 0xc0, 0x01, 0x00, 0x80, 0x3f, 0x00, 0xbf])
    const read = decodeSafetensors(Buffer.concat([size, header, body]), 'half')
    expect([...read.get('h')!.data]).toEqual([1.5, -2, 2 ** -24])
    expect([...read.get('b')!.data]).toEqual([1, -0.5])
  })

  it('refuses what is not whole, naming the file', () => {
    const bytes = Buffer.from(encodeSafetensors(weights))
    expect(() => decodeSafetensors(bytes.subarray(0, -4), 'short.safetensors')).toThrow(/short\.safetensors/)
    expect(() => decodeSafetensors(bytes.subarray(0, 5), 'stub.safetensors')).toThrow(/stub\.safetensors/)
    const huge = Buffer.from(bytes)
    huge.writeBigUInt64LE(1n << 60n)
    expect(() => decodeSafetensors(huge, 'huge.safetensors')).toThrow(/huge\.safetensors/)
    const wrong = Buffer.from(bytes)
    wrong.write('{', 12)
    expect(() => decodeSafetensors(wrong, 'json.safetensors')).toThrow(/json\.safetensors/)
  })

  it('refuses bytes that are no tensor’s, as safetensors’ own reader does', () => {
    const file = (begin: number, more: number) => {
      const header = Buffer.from(
        `{"b":{"dtype":"F32","shape":[1],"data_offsets":[${begin},${begin + 4}]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} `,
      )
      const size = Buffer.alloc(8)
      size.writeBigUInt64LE(BigInt(header.length))
      return {
        bytes: Buffer.concat([size, header, Buffer.alloc(begin + 4 + more)]),
        start: 8 + header.length,
      }
    }
    expect(decodeSafetensors(file(4, 0).bytes, 'w').size).toBe(2)
    const longer = file(4, 3)
    expect(() => decodeSafetensors(longer.bytes, 'w')).toThrow(
      `w: after its last tensor are 3 bytes of no tensor; expected a file of ${longer.start + 8} bytes`,
    )
    const hole = file(12, 0)
    expect(() => decodeSafetensors(hole.bytes, 'w')).toThrow(
      `w: b: before its data are 8 bytes of no tensor; expected data from byte ${hole.start + 4}`,
    )
    const empty = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])
    expect(decodeSafetensors(empty, 'w').size).toBe(0)
    expect(() => decodeSafetensors(Buffer.concat([empty, empty]), 'w')).toThrow(/expected a file of 10 bytes/)
  })
})
