/* eslint-disable max-lines -- one model in all its forms, held against one another */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { numberOf, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createLlama2cTokenizer, readLlama2cPieces } from '../data/llama2cTokenizer'
import { scoreIds } from '../evaluate/score'
import { nativeModel } from './languageModel'
import { generate } from './generate'
import { createTables, forward } from './forward'
import { decodeLlama2c, encodeLlama2c } from './llama2c'
import { readModel, writeModel } from './modelFolder'
import { initialise, toTensors } from './weights'

const data = resolve(import.meta.dirname, '../../../../shared/data')
const checkpoint = join(data, 'stories260k/stories260K.bin')
const pieces = join(data, 'stories260k/tok512.bin')
const shakespeare = join(data, 'tinyshakespeare/input.txt')
const hasStories = existsSync(checkpoint) && existsSync(pieces) && existsSync(shakespeare)
if (!hasStories)
  console.warn('SKIPPED: stories260K tests need ../shared/data/stories260k and tinyshakespeare')

const tiny: ModelConfig = {
  family: 'llama',
  vocab: 23,
  width: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  hidden: 24,
  context: 16,
  tied: false,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}

/**
 * llama2.c's forward pass written anew in plain float32 loops over the file's own layout: rows of stacked matrices,
 * RoPE on neighbouring pairs. Nothing of the engine is in it.
 */
class PlainLlama {
  private readonly f: Float32Array
  readonly header: number[]
  private readonly keys: Float32Array[][] = []
  private readonly values: Float32Array[][] = []

  constructor(bytes: Buffer) {
    this.header = Array.from({ length: 7 }, (_, i) => bytes.readInt32LE(4 * i))
    this.f = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 28, bytes.byteOffset + bytes.length))
    for (let l = 0; l < this.header[2]!; l++) {
      this.keys.push([])
      this.values.push([])
    }
  }

  reset(): void {
    for (const list of [...this.keys, ...this.values]) list.length = 0
  }

  /** Logits after `token`, which stands behind all tokens given before. */
  next(token: number): Float32Array {
    const [dim, hidden, layers, heads, kvHeads, vocab] = this.header as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const size = dim / heads
    const kv = size * kvHeads
    let at = vocab * dim
    const take = (count: number) => {
      const from = at
      at += count
      return from
    }
    const offsets = {
      normA: take(layers * dim),
      q: take(layers * dim * dim),
      k: take(layers * dim * kv),
      v: take(layers * dim * kv),
      o: take(layers * dim * dim),
      normF: take(layers * dim),
      w1: take(layers * dim * hidden),
      w2: take(layers * dim * hidden),
      w3: take(layers * dim * hidden),
      norm: take(dim),
    }
    const x = this.f.slice(token * dim, (token + 1) * dim)
    const position = this.keys[0]!.length
    for (let l = 0; l < layers; l++) {
      const n = this.norm(x, offsets.normA + l * dim)
      const q = this.rotate(this.multiply(offsets.q + l * dim * dim, n, dim), position, size)
      this.keys[l]!.push(this.rotate(this.multiply(offsets.k + l * dim * kv, n, kv), position, size))
      this.values[l]!.push(this.multiply(offsets.v + l * dim * kv, n, kv))
      const mixed = this.attend(q, l, heads, kvHeads, size)
      this.multiply(offsets.o + l * dim * dim, mixed, dim).forEach((v, i) => (x[i]! += v))
      const m = this.norm(x, offsets.normF + l * dim)
      const gate = this.multiply(offsets.w1 + l * dim * hidden, m, hidden)
      const up = this.multiply(offsets.w3 + l * dim * hidden, m, hidden)
      const inner = gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!)
      this.multiply(offsets.w2 + l * dim * hidden, inner, dim).forEach((v, i) => (x[i]! += v))
    }
    return this.multiply(0, this.norm(x, offsets.norm), vocab)
  }

  private norm(x: Float32Array, at: number): Float32Array {
    let sum = 0
    for (const v of x) sum += v * v
    const scale = 1 / Math.sqrt(sum / x.length + 1e-5)
    return x.map((v, i) => this.f[at + i]! * (scale * v))
  }

  private multiply(at: number, x: Float32Array, rows: number): Float32Array {
    return Float32Array.from({ length: rows }, (_, r) => {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += this.f[at + r * x.length + i]! * x[i]!
      return sum
    })
  }

  private rotate(x: Float32Array, position: number, size: number): Float32Array {
    const y = x.slice()
    for (let i = 0; i < x.length; i += 2) {
      const angle = position * 10000 ** (-(i % size) / size)
      y[i] = x[i]! * Math.cos(angle) - x[i + 1]! * Math.sin(angle)
      y[i + 1] = x[i]! * Math.sin(angle) + x[i + 1]! * Math.cos(angle)
    }
    return y
  }

  private attend(q: Float32Array, layer: number, heads: number, kvHeads: number, size: number): Float32Array {
    const out = new Float32Array(q.length)
    for (let h = 0; h < heads; h++) {
      const from = Math.floor(h / (heads / kvHeads)) * size
      const scores = this.keys[layer]!.map((key) => {
        let sum = 0
        for (let i = 0; i < size; i++) sum += q[h * size + i]! * key[from + i]!
        return sum / Math.sqrt(size)
      })
      const max = Math.max(...scores)
      const e = scores.map((s) => Math.exp(s - max))
      const total = e.reduce((a, b) => a + b)
      for (const [t, value] of this.values[layer]!.entries()) {
        for (let i = 0; i < size; i++) out[h * size + i]! += (e[t]! / total) * value[from + i]!
      }
    }
    return out
  }
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe.skipIf(!hasStories)('stories260K, a real pretrained model', () => {
  const load = () => decodeLlama2c(readFileSync(checkpoint), checkpoint)
  const tokenizer = () => createLlama2cTokenizer(readLlama2cPieces(readFileSync(pieces), pieces))

  it('scores text as an independent float32 implementation does, to 1e-4 nats a token', async () => {
    const { config, weights } = load()
    const text = readFileSync(shakespeare, 'utf8').slice(0, 700)
    const ids = Int32Array.from([1, ...tokenizer().encode(text)])
    expect(ids.length).toBeLessThan(config.context)
    const plain = new PlainLlama(readFileSync(checkpoint))
    let nll = 0
    for (let i = 0; i + 1 < ids.length; i++) {
      const z = plain.next(ids[i]!)
      const max = z.reduce((a, b) => Math.max(a, b))
      nll += Math.log(z.reduce((sum, v) => sum + Math.exp(v - max), 0)) + max - z[ids[i + 1]!]!
    }
    const score = await scoreIds(nativeModel(config, toTensors(weights)), ids, {
      bos: 1,
      bytes: Buffer.byteLength(text),
    })
    expect(score.tokens).toBe(ids.length - 1)
    expect(Math.abs(numberOf(score.crossEntropy) - nll / (ids.length - 1))).toBeLessThan(1e-4)
    expect(score.bitsPerByte).toBeCloseTo(nll / Math.LN2 / Buffer.byteLength(text), 4)
  })

  it('continues greedily with the same 100 tokens', async () => {
    const { config, weights } = load()
    const prompt = [1, ...tokenizer().encode('Once upon a time')]
    const plain = new PlainLlama(readFileSync(checkpoint))
    const expected: number[] = []
    let logits = new Float32Array()
    for (const id of prompt) logits = plain.next(id) as Float32Array<ArrayBuffer>
    while (expected.length < 100) {
      expected.push(logits.indexOf(logits.reduce((a, b) => Math.max(a, b))))
      logits = plain.next(expected.at(-1)!) as Float32Array<ArrayBuffer>
    }
    const parameters = toTensors(weights)
    const options = {
      model: nativeModel(config, parameters),
      promptIds: prompt,
      tokens: 100,
      temperature: 0,
      topP: 1,
      seed: 1,
    }
    const { ids } = await generate(options)
    expect(ids).toEqual(expected)
    expect(tokenizer().decode(ids)).toContain('there was')
  })

  it('is refused, with both sizes named, when the file is cut off or too long', () => {
    const bytes = readFileSync(checkpoint)
    expect(() => decodeLlama2c(bytes.subarray(0, -4), 'cut.bin')).toThrow(
      /cut\.bin.*1,?056,?536.*1,?056,?540/s,
    )
    expect(() => decodeLlama2c(Buffer.concat([bytes, Buffer.alloc(1)]), 'long.bin')).toThrow(/long\.bin/)
    expect(() => decodeLlama2c(bytes.subarray(0, 20), 'head.bin')).toThrow(/head\.bin/)
  })

  it('survives a round trip through its own format', () => {
    const { config, weights } = load()
    const again = decodeLlama2c(Buffer.from(encodeLlama2c(config, weights)), 'again.bin')
    expect(again.config).toEqual(config)
    for (const [name, { data }] of weights) expect(again.weights.get(name)!.data).toEqual(data)
  })
})

describe('the transformer', () => {
  it('continues with its KV cache as whole forward passes would, beyond the end of its context', async () => {
    const parameters = toTensors(initialise(tiny, 3))
    const promptIds = [0, 5, 9]
    const options = {
      model: nativeModel(tiny, parameters),
      promptIds,
      tokens: 20,
      temperature: 0,
      topP: 1,
      seed: 1,
    }
    const { ids } = await generate(options)
    const window = [...promptIds]
    const expected: number[] = []
    while (expected.length < 20) {
      const tables = createTables(tiny, window.length)
      const { logits } = forward(tiny, parameters, tf.tensor2d([window], undefined, 'int32'), tables)
      const rows = await logits.array()
      const last = rows.at(-1)!
      expected.push(last.indexOf(Math.max(...last)))
      if (window.length === tiny.context) window.splice(0, window.length + 1 - tiny.context / 2)
      window.push(expected.at(-1)!)
    }
    expect(ids).toEqual(expected)
  })

  it('continues alike when prompt and cache grow from one compiled length to the next', async () => {
    const config = { ...tiny, context: 150 }
    const parameters = toTensors(initialise(config, 8))
    const promptIds = Array.from({ length: 19 }, (_, i) => i)
    const options = {
      model: nativeModel(config, parameters),
      promptIds,
      tokens: 180,
      temperature: 0,
      topP: 1,
      seed: 1,
    }
    const { ids } = await generate(options)
    const all = [...promptIds, ...ids]
    /** What whole forward passes over all[from..to) say comes next, for the places from `first` on. */
    const greedy = async (from: number, to: number, first: number) => {
      const window = all.slice(from, to)
      const tables = createTables(config, window.length)
      const { logits } = forward(config, parameters, tf.tensor2d([window], undefined, 'int32'), tables)
      const best = (await tf.argMax(logits, -1).data()) as Int32Array
      return Array.from(best.subarray(first - from))
    }
    // The cache is full at 150 tokens; the token that no longer fits and the 74 before it are read anew.
    expect(await greedy(0, 150, 18)).toEqual(all.slice(19, 151))
    expect(await greedy(76, 198, 150)).toEqual(all.slice(151, 199))
  })

  it('cannot see the future', async () => {
    const parameters = toTensors(initialise(tiny, 4))
    const tables = createTables(tiny, 6)
    const logitsOf = async (ids: number[]) =>
      (await forward(tiny, parameters, tf.tensor2d([ids], undefined, 'int32'), tables).logits.array()).slice(
        0,
        4,
      )
    expect(await logitsOf([0, 3, 7, 1, 20, 21])).toEqual(await logitsOf([0, 3, 7, 1, 2, 2]))
  })

  it('is initialised by its seed alone', () => {
    expect(initialise(tiny, 5)).toEqual(initialise(tiny, 5))
    expect(initialise(tiny, 5)).not.toEqual(initialise(tiny, 6))
  })

  it('samples by its seed, and only from the nucleus', async () => {
    const parameters = toTensors(initialise(tiny, 3))
    const options = {
      model: nativeModel(tiny, parameters),
      promptIds: [0],
      tokens: 12,
      temperature: 1.5,
      topP: 1,
    }
    const draw = async (seed: number, topP = 1) => (await generate({ ...options, seed, topP })).ids
    expect(await draw(1)).toEqual(await draw(1))
    expect(await draw(1)).not.toEqual(await draw(2))
    const greedy = (await generate({ ...options, temperature: 0, seed: 1 })).ids
    expect(await draw(1, 1e-6)).toEqual(greedy)
  })
})

describe('a model folder', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'retort-'))
    return () => rmSync(folder, { recursive: true, force: true })
  })

  it('gives back configuration and weights, and refuses weights of another shape', async () => {
    const weights = initialise(tiny, 1)
    await writeModel(folder, tiny, weights)
    const read = await readModel(folder)
    expect(read.config).toEqual(tiny)
    expect(read.weights.get('lm_head.weight')).toEqual(weights.get('lm_head.weight'))
    const file = join(folder, 'model.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"vocab": 23', '"vocab": 24'))
    await expect(readModel(folder)).rejects.toThrow(/model\.safetensors.*24/s)
  })
})
