/* eslint-disable max-lines -- one cache, its modes and its failures */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EMBEDDING, type ModelConfig, type Teacher } from '#contract'
import { startBackend } from '../../backend'
import { tf } from '../../backend/tf'
import { logProbabilities } from '../../distill/divergence'
import { createTables, forward } from '../../model/forward'
import { initialise, toTensors } from '../../model/weights'
import { createRandom } from '../../random'
import { BlockFile } from './blockFile'
import { CachedTeacher, type CachedTeacherOptions } from './cached'
import { decode, encode } from './codec'
import { Disk } from './disk'
import { fromHalf, toHalf } from './half'

const vocab = 24
const model: ModelConfig = {
  family: 'llama',
  vocab,
  width: 12,
  layers: 2,
  heads: 2,
  kvHeads: 2,
  hidden: 16,
  context: 8,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}
const row = { id: 'teacher', name: 'teacher', model, digest: '0'.repeat(64) } as Teacher
const disk = new Disk()
let folder: string
beforeAll(() => startBackend('onnx', { threads: 1 }))
afterAll(() => disk.close())
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function ids(batch: number): { inputs: Int32Array; targets: Int32Array } {
  const random = createRandom(batch, 'cache-test')
  const draw = () => Int32Array.from({ length: 32 }, () => random.integer(vocab))
  return { inputs: draw(), targets: draw() }
}

/** A cached teacher of four batches; `computed` counts what the teacher itself was asked. */
function teacher(
  mode: 'exact' | 'states' | 'top-k' | 'sample',
  more: Partial<CachedTeacherOptions> = {},
  half = false,
) {
  const asked: number[] = []
  const warnings: string[] = []
  const source = new CachedTeacher({
    dataDir: folder,
    row,
    reader: 'run-1',
    splits: new Map([
      [
        'train',
        {
          key: 'k',
          corpora: ['c'],
          count: 4,
          at: ids,
          coding: {
            mode,
            vocab,
            k: 6,
            samples: 50,
            ...(mode === 'states' && { states: { width: 12, half } }),
          },
          layers: [2],
          sharedLayers: [],
        },
      ],
    ]),
    disk,
    tokens: 32,
    context: 8,
    tau: 1,
    openLive: async () => {
      const parameters = toTensors(initialise(model, 5))
      const tables = createTables(model, 8)
      return {
        row,
        signal: (tokens) => {
          asked.push(1)
          return forward(model, parameters, tokens, tables)
        },
        dispose: () => tf.dispose([...parameters.values()]),
      }
    },
    openHead: async () => ({ head: toTensors(initialise(model, 5)).get(EMBEDDING) as tf.Tensor2D }),
    warn: (message) => void warnings.push(message),
    ...more,
  })
  return { source, asked, warnings }
}

const always = async () => true
const nothing = () => {}

async function signalOf(source: CachedTeacher, batch: number, first = 0, rows = 32) {
  const inputs = ids(batch).inputs.subarray(first, first + rows)
  await source.prepare(inputs, { split: 'train', batch, first })
  const tokens = tf.tensor2d(inputs, [rows / 8, 8], 'int32')
  const { logits, hidden, statistics, normalisedAt } = source.signal(tokens)
  const values = async (tensor?: tf.Tensor) => tensor && Array.from(await tensor.data())
  return {
    logits: (await values(logits))!,
    hidden: (await values(hidden[2]))!,
    entropy: await values(statistics?.entropy),
    labelLoss: (await values(statistics?.labelLoss))!,
    normalisedAt,
  }
}

/** Log-probabilities at temperature 1, and hidden states. */
async function liveSignal(batch: number) {
  const parameters = toTensors(initialise(model, 5))
  const tokens = tf.tensor2d(ids(batch).inputs, [4, 8], 'int32')
  const { logits, hidden } = forward(model, parameters, tokens, createTables(model, 8))
  const logP = logProbabilities(logits, 1)
  return { logits: Array.from(await logP.data()), hidden: Array.from(await hidden[2]!.data()) }
}

describe('an exact cache', () => {
  it('says bit for bit what the teacher says, whole or in micro-batches, and asks it once', async () => {
    const { source, asked } = teacher('exact')
    expect(await source.fill(always, nothing)).toBe(true)
    for (const batch of [0, 1, 3])
      expect(await signalOf(source, batch)).toMatchObject(await liveSignal(batch))
    const whole = await liveSignal(2)
    expect((await signalOf(source, 2, 16, 16)).logits).toEqual(whole.logits.slice(16 * vocab))
    expect(asked).toHaveLength(4)
    const again = teacher('exact')
    await again.source.fill(always, nothing)
    expect(again.asked).toHaveLength(0)
    expect(again.source.tokens).toEqual({ computed: 0, reused: 128 })
  })

  it('keeps entropies at temperature 1, and the labels’ losses', async () => {
    for (const tau of [1, 2]) {
      const { source } = teacher('exact', { tau })
      await source.fill(always, nothing)
      const { logits, entropy, labelLoss, normalisedAt } = await signalOf(source, 1)
      expect(normalisedAt).toBe(1)
      for (const [t, label] of ids(1).targets.entries()) {
        const row = logits.slice(t * vocab, (t + 1) * vocab)
        expect(labelLoss[t]).toBe(-row[label]!)
        if (tau === 1) expect(entropy![t]).toBeCloseTo(-row.reduce((sum, l) => sum + Math.exp(l) * l, 0), 5)
        else expect(entropy).toBeUndefined()
      }
    }
  })

  it('asks for a large batch in chunks of whole sequences, and keeps the same', async () => {
    for (const mode of ['exact', 'top-k'] as const) {
      const whole = teacher(mode)
      await whole.source.fill(always, nothing)
      const expected = await signalOf(whole.source, 1)
      rmSync(join(folder, 'cache'), { recursive: true })
      // Four sequences of 8 tokens: two at a time.
      const { source, asked } = teacher(mode, { logits: 16 * vocab })
      await source.fill(always, nothing)
      expect(asked).toHaveLength(8)
      const { logits, hidden } = await signalOf(source, 1)
      expect(logits).toHaveLength(32 * vocab)
      for (const [i, z] of expected.logits.entries()) expect(logits[i]).toBeCloseTo(z, 5)
      for (const [i, h] of expected.hidden.entries()) expect(hidden[i]).toBeCloseTo(h, 5)
    }
  })

  it('goes on where a writer stopped', async () => {
    let left = 3
    await teacher('exact').source.fill(async () => left-- > 0, nothing)
    const { source, asked } = teacher('exact')
    await source.fill(always, nothing)
    expect(asked).toHaveLength(1)
    expect(source.tokens).toEqual({ computed: 32, reused: 96 })
    // As a writer that was killed in the middle of a block leaves it.
    const file = join(folder, 'cache', 'teachers', 'k', 'exact.bin')
    truncateSync(file, statSync(file).size - 100)
    const third = teacher('exact')
    await third.source.fill(always, nothing)
    expect(third.asked).toHaveLength(1)
    expect(await signalOf(third.source, 3)).toMatchObject(await liveSignal(3))
  })

  it('computes a damaged block anew and never hands it out', async () => {
    await teacher('exact').source.fill(always, nothing)
    const file = join(folder, 'cache', 'teachers', 'k', 'exact.bin')
    const bytes = readFileSync(file)
    bytes[bytes.length / 2 + 300]! ^= 1
    writeFileSync(file, bytes)
    const { source, asked, warnings } = teacher('exact')
    await source.fill(always, nothing)
    for (const batch of [0, 1, 2, 3])
      expect(await signalOf(source, batch)).toMatchObject(await liveSignal(batch))
    expect(asked).toHaveLength(1)
    expect(warnings).toEqual([expect.stringContaining('batch 3 of train are damaged')])
    expect(readFileSync(file).equals(bytes)).toBe(false)
  })

  it('never answers for other tokens than those it was asked about', async () => {
    const file = new BlockFile(join(folder, 'blocks.bin'), 8, disk)
    await file.write(0, [Buffer.alloc(8, 1)], Int32Array.of(1, 2))
    expect(await file.read(0, Int32Array.of(1, 2))).toEqual(Buffer.alloc(8, 1))
    expect(await file.read(0, Int32Array.of(2, 1))).toBeUndefined()
    expect(await file.read(1, Int32Array.of(1, 2))).toBeUndefined()
  })

  it('has one writer; another waits and finds all of it', async () => {
    const first = teacher('exact')
    const second = teacher('exact')
    let seen: boolean | undefined
    await first.source.fill(async () => {
      seen ??= await second.source.fill(always, nothing)
      return true
    }, nothing)
    expect(seen).toBe(false)
    expect(await second.source.fill(always, nothing)).toBe(true)
    expect(second.asked).toHaveLength(0)
  })
})

describe('a cache of states', () => {
  /** Logits as the teacher itself has them. */
  async function liveLogits(batch: number): Promise<number[]> {
    const tokens = tf.tensor2d(ids(batch).inputs, [4, 8], 'int32')
    const { logits } = forward(model, toTensors(initialise(model, 5)), tokens, createTables(model, 8))
    return Array.from(await logits.data())
  }
  const file = (precision: string) => join(folder, 'cache', 'teachers', 'k', `states-${precision}.bin`)

  it('gives the teacher’s logits, whole or in micro-batches, of half the numbers', async () => {
    const { source, asked } = teacher('states')
    expect(await source.fill(always, nothing)).toBe(true)
    for (const batch of [0, 1, 2, 3]) {
      const { logits, hidden } = await signalOf(source, batch)
      for (const [i, z] of (await liveLogits(batch)).entries()) expect(logits[i]).toBeCloseTo(z, 6)
      expect(hidden).toEqual((await liveSignal(batch)).hidden)
    }
    const part = await signalOf(source, 2, 16, 16)
    for (const [i, z] of (await liveLogits(2)).slice(16 * vocab).entries())
      expect(part.logits[i]).toBeCloseTo(z, 6)
    expect(asked).toHaveLength(4)
    // 12 numbers a token, and 16 bytes a batch.
    expect(statSync(file('f32')).size).toBe(4 * (32 * 12 * 4 + 16))
    source.dispose()
  })

  it('in half precision is as near as 11 bits are', async () => {
    const { source } = teacher('states', {}, true)
    await source.fill(always, nothing)
    const { logits } = await signalOf(source, 1)
    const live = await liveLogits(1)
    const gap = Math.max(...live.map((z, i) => Math.abs(z - logits[i]!)))
    const largest = Math.max(...live.map(Math.abs))
    expect(gap).toBeGreaterThan(0)
    expect(gap).toBeLessThan(largest * 12 * 2 ** -11)
    expect(statSync(file('f16')).size).toBe(4 * (32 * 12 * 2 + 16))
  })

  it('computes anew what is damaged or was not written', async () => {
    await teacher('states').source.fill(always, nothing)
    const bytes = readFileSync(file('f32'))
    bytes[100]! ^= 1
    writeFileSync(file('f32'), bytes)
    truncateSync(file('f32'), bytes.length - 50)
    const { source, asked, warnings } = teacher('states')
    await source.fill(always, nothing)
    for (const batch of [0, 3]) {
      const { logits } = await signalOf(source, batch)
      for (const [i, z] of (await liveLogits(batch)).entries()) expect(logits[i]).toBeCloseTo(z, 6)
    }
    expect(asked).toHaveLength(2)
    expect(warnings).toEqual([expect.stringContaining('batch 1 of train are damaged')])
  })
})

describe('a disk without room for the cache', () => {
  const fullAfterTwo = `import { parentPort } from 'node:worker_threads'
    let room = 2
    parentPort.on('message', ({ id, kind, buffer }) => {
      const error = { code: 'ENOSPC', message: 'ENOSPC: no space left on device, write' }
      const answer = kind === 'read' ? { whole: false } : room-- > 0 ? {} : { error }
      parentPort.postMessage({ id, buffer, ...answer }, [buffer])
    })`

  it.each(['exact', 'states', 'top-k', 'sample'] as const)(
    'is told beforehand, and %s answers are the same bit for bit',
    async (mode) => {
      const kept = teacher(mode, { tau: 2 })
      await kept.source.fill(always, nothing)
      const expected = [await signalOf(kept.source, 0), await signalOf(kept.source, 3)]
      rmSync(join(folder, 'cache'), { recursive: true })
      const { source, asked, warnings } = teacher(mode, { tau: 2, reserve: 2 ** 52 })
      expect(await source.fill(always, nothing)).toBe(true)
      expect(asked).toHaveLength(0)
      expect([await signalOf(source, 0), await signalOf(source, 3)]).toEqual(expected)
      expect(asked).toHaveLength(2)
      expect(source.tokens).toEqual({ computed: 64, reused: 0 })
      expect(warnings).toEqual([
        expect.stringMatching(
          /^outputs of teacher "teacher" for train are not kept in .* \(they take 0\.1 MB, the run 4294967296 MB, .* MB are free\); it is asked for each batch instead$/,
        ),
      ])
      expect(existsSync(join(folder, 'cache'))).toBe(false)
    },
  )

  it('that fills while they are written is left with what there was before, and the run goes on', async () => {
    const own = new Disk(new URL(`data:text/javascript,${encodeURIComponent(fullAfterTwo)}`))
    const { source, warnings } = teacher('exact', { disk: own })
    expect(await source.fill(always, nothing)).toBe(true)
    expect(existsSync(join(folder, 'cache', 'teachers', 'k'))).toBe(false)
    for (const batch of [0, 1, 3])
      expect(await signalOf(source, batch)).toMatchObject(await liveSignal(batch))
    expect(warnings).toEqual([
      expect.stringMatching(/are not kept .*the disk is full: .*\.bin takes 0\.1 MB, /),
    ])
    await own.close()
  })
})

describe('the thread of the cache', () => {
  const program = (source: string) => new URL(`data:text/javascript,${encodeURIComponent(source)}`)

  it('reads ahead into memory that is used again, and hands out no block before it is whole', async () => {
    const file = new BlockFile(join(folder, 'blocks.bin'), 8, disk)
    const tokens = Int32Array.of(1)
    await Promise.all([0, 1, 2, 3].map((i) => file.write(i, [Buffer.alloc(8, i)], tokens)))
    const seen = new Set<ArrayBufferLike>()
    let ahead = file.read(0, tokens)
    for (let i = 0; i < 4; i++) {
      const block = (await ahead)!
      ahead = file.read(i + 1, tokens)
      expect(block).toEqual(Buffer.alloc(8, i))
      seen.add(block.buffer)
    }
    expect(await ahead).toBeUndefined()
    expect(file.missing(5)).toEqual([4])
  })

  it('refuses what cannot be written, with the reason, and goes on', async () => {
    writeFileSync(join(folder, 'file'), '')
    const blocked = new BlockFile(join(folder, 'file', 'blocks.bin'), 8, disk)
    await expect(blocked.write(0, [Buffer.alloc(8)], Int32Array.of(1))).rejects.toThrow(/ENOTDIR|EEXIST/)
    const file = new BlockFile(join(folder, 'blocks.bin'), 8, disk)
    await file.write(0, [Buffer.alloc(8, 7)], Int32Array.of(1))
    expect(await file.read(0, Int32Array.of(1))).toEqual(Buffer.alloc(8, 7))
  })

  it('tells of its death once and does not start again', async () => {
    const own = new Disk(
      program(`import { parentPort } from 'node:worker_threads'
        parentPort.on('message', () => { throw new Error('struck') })`),
    )
    const { source } = teacher('exact', { disk: own })
    const death = "the thread that reads and writes the teachers' outputs has died: struck"
    await expect(source.fill(always, nothing)).rejects.toThrow(death)
    await expect(source.prepare(ids(0).inputs, { split: 'train', batch: 0, first: 0 })).rejects.toThrow(death)
    await own.close()
  })

  it('ends when it is closed, and what it was asked for is refused', async () => {
    const own = new Disk(program(`import { parentPort } from 'node:worker_threads'; parentPort.ref()`))
    const file = new BlockFile(join(folder, 'blocks.bin'), 8, own)
    const reading = expect(file.read(0, Int32Array.of(1))).rejects.toThrow('closed')
    await own.close()
    await reading
    await expect(file.write(0, [Buffer.alloc(8)], Int32Array.of(1))).rejects.toThrow('closed')
  })
})

describe('codings', () => {
  const random = createRandom(3, 'codings')
  const raw = Array.from({ length: vocab }, () => Math.exp(3 * random.normal()))
  const total = raw.reduce((a, b) => a + b, 0)
  const p = raw.map((x) => x / total)
  const logP = Float32Array.from(p, Math.log)

  it('top-k keeps the k most probable and the mass of the rest', () => {
    const coding = { mode: 'top-k' as const, vocab, k: 5, samples: 0 }
    const kept = Array.from(decode(coding, encode(coding, logP, ''), 1), Math.exp)
    const top = [...p].sort((a, b) => b - a).slice(0, 5)
    const tail = (1 - top.reduce((a, b) => a + b, 0)) / (vocab - 5)
    for (const [v, value] of kept.entries()) expect(value).toBeCloseTo(top.includes(p[v]!) ? p[v]! : tail, 5)
    const all = { ...coding, k: vocab }
    expect(Array.from(decode(all, encode(all, logP, ''), 1))).toEqual(Array.from(logP))
  })

  it('samples are an unbiased estimate of the distribution', () => {
    const coding = { mode: 'sample' as const, vocab, k: 0, samples: 20 }
    const draws = 2000
    const mean = new Float64Array(vocab)
    for (let i = 0; i < draws; i++) {
      const estimate = decode(coding, encode(coding, logP, `draw ${i}`), 1)
      for (const [v, l] of estimate.entries()) mean[v]! += Math.exp(l) / draws
    }
    // Five standard errors of a binomial share.
    for (const [v, share] of p.entries())
      expect(Math.abs(mean[v]! - share)).toBeLessThan(
        5 * Math.sqrt((share * (1 - share)) / (draws * 20)) + 1e-9,
      )
  })

  it('states that half precision cannot hold are refused', () => {
    const coding = { mode: 'states' as const, vocab, k: 0, samples: 0, states: { width: 2, half: true } }
    expect(() => encode(coding, Float32Array.of(1, -65520), '')).toThrow(
      /state of -65520, beyond half precision/,
    )
    expect(Array.from(decode(coding, encode(coding, Float32Array.of(0.1, 65504), ''), 1))).toEqual([
      0.0999755859375, 65504,
    ])
  })

  it('half precision rounds to the nearest, also among the smallest', () => {
    const values = Float32Array.of(
      0,
      -0,
      1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      -65504,
      65520,
      2 ** -24,
      2 ** -25,
      3 * 2 ** -25,
      0.1,
    )
    expect(Array.from(fromHalf(toHalf(values)))).toEqual([
      0,
      -0,
      1,
      1,
      1 + 2 ** -9,
      -65504,
      Infinity,
      2 ** -24,
      0,
      2 ** -23,
      0.0999755859375,
    ])
  })
})
