import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { ModelConfig } from '#contract'
import { toTokenizerJson } from '../../data/byteBpe'
import { bytesToCharacters } from '../../data/bytes'
import { initialise } from '../weights'
import { encodeGguf } from '.'

/** A GGUF file as it lies there: for tests, apart from what writes it. */
export interface Gguf {
  metadata: Record<string, unknown>
  /** Dimensions as stored, the fastest first. */
  tensors: Map<string, { dimensions: number[]; type: number; bytes: Buffer }>
}

/** Follows the format's description (github.com/ggml-org/ggml, docs/gguf.md). */
export function readGguf(file: string): Gguf {
  const bytes = readFileSync(file)
  let at = 0
  const take = (count: number) => bytes.subarray(at, (at += count))
  const u32 = () => take(4).readUInt32LE()
  const u64 = () => Number(take(8).readBigUInt64LE())
  const text = () => take(u64()).toString('utf8')
  const value = (type: number): unknown => {
    switch (type) {
      case 4:
        return u32()
      case 5:
        return take(4).readInt32LE()
      case 6:
        return take(4).readFloatLE()
      case 7:
        return take(1)[0] === 1
      case 8:
        return text()
      case 9: {
        const of = u32()
        return Array.from({ length: u64() }, () => value(of))
      }
      default:
        throw new Error(`the value type ${type}`)
    }
  }
  if (take(4).toString('latin1') !== 'GGUF' || u32() !== 3) throw new Error('no GGUF of version 3')
  const [count, pairs] = [u64(), u64()]
  const metadata: Record<string, unknown> = {}
  for (let i = 0; i < pairs; i++) {
    const key = text()
    if (Object.hasOwn(metadata, key)) throw new Error(`${key} is there twice`)
    metadata[key] = value(u32())
  }
  const infos = Array.from({ length: count }, () => {
    const name = text()
    const dimensions = Array.from({ length: u32() }, u64)
    return { name, dimensions, type: u32(), place: u64() }
  })
  const start = Math.ceil(at / 32) * 32
  const sizes: Record<number, [numbers: number, bytes: number]> = { 0: [1, 4], 1: [1, 2], 8: [32, 34] }
  const tensors: Gguf['tensors'] = new Map()
  for (const { name, dimensions, type, place } of infos) {
    const [numbers, size] = sizes[type]!
    if (place % 32 || dimensions[0]! % numbers) throw new Error(`${name} is not aligned`)
    const length = (dimensions.reduce((a, b) => a * b, 1) / numbers) * size
    if (start + place + length > bytes.length) throw new Error(`${name} ends behind the file`)
    tensors.set(name, {
      dimensions,
      type,
      bytes: bytes.subarray(start + place, start + place + length),
    })
  }
  return { metadata, tensors }
}

/** Numbers of a tensor, whatever it is stored as. */
export function numbersOf({ type, bytes }: { type: number; bytes: Buffer }): number[] {
  if (type === 0) return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
  const half = (at: number) => {
    const h = bytes.readUInt16LE(at)
    const [exponent, fraction] = [(h >> 10) & 31, h & 1023]
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24
    return h & 0x8000 ? -size : size
  }
  if (type === 1) return Array.from({ length: bytes.length / 2 }, (_, i) => half(2 * i))
  return Array.from({ length: bytes.length / 34 }, (_, b) =>
    Array.from({ length: 32 }, (_, i) => half(34 * b) * bytes.readInt8(34 * b + 2 + i)),
  ).flat()
}

/** A model that `written` changes. */
export const config: ModelConfig = {
  family: 'llama',
  vocab: 258,
  width: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  hidden: 64,
  context: 64,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}

export interface Given {
  change?: Partial<ModelConfig>
  tokenizer?: unknown
  dtype?: 'f32' | 'f16' | 'q8_0'
  name?: string
}

/** A folder for each test, with a tokenizer of our own making in it. */
export function inFolder() {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'retort-gguf-'))
    const pieces = [
      '<|endoftext|>',
      ...Array.from({ length: 256 }, (_, b) => bytesToCharacters(Uint8Array.of(b))),
      'th',
    ]
    const vocab = new Map(pieces.map((piece, id) => [piece, id]))
    writeFileSync(
      join(folder, 'tokenizer.json'),
      JSON.stringify(toTokenizerJson({ vocab, merges: [['t', 'h']] })),
    )
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** A model of first weights, written and read again. */
  function written({
    change = {},
    tokenizer,
    dtype = 'f32',
    name = 'student',
  }: Given): Gguf & { warnings: string[] } {
    const own = { ...config, ...change }
    const file = join(folder, 'tokenizer.json')
    if (tokenizer) writeFileSync(file, JSON.stringify(tokenizer))
    const { parts, warnings } = encodeGguf({
      name,
      config: own,
      weights: initialise(own, 1),
      tokenizer: { file, kind: 'huggingface', bos: 0, eos: 0 },
      dtype,
    })
    const target = join(folder, 'model.gguf')
    writeFileSync(target, Buffer.concat(parts))
    return { ...readGguf(target), warnings }
  }

  return { written, target: () => join(folder, 'model.gguf') }
}
