import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { numberOf, type Train } from '#contract'
import { listCheckpoints } from '../../files'
import { startBackend } from '../backend'
import type { LazyBackend } from '../backend/lazyBackend'
import { tf } from '../backend/tf'
import { createTables } from '../model/forward'
import { pruneCheckpoints, readCheckpoint, writeCheckpoint } from './checkpoint'
import { globalNorm, AdamW } from './adamw'
import { learningRate } from './schedule'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, losses, model, runConfig, teacherSource } from './testing'

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe('gradient checkpointing', () => {
  it('changes no loss: layers computed again give the same gradients', async () => {
    const setting = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
    const nodes = () => (tf.backend() as LazyBackend).statistics.nodes
    const kept = await losses(runConfig({ train: setting }), 6)
    const once = nodes()
    const again = await losses(runConfig({ train: { ...setting, checkpointing: 'layers' } }), 6)
    expect(nodes()).toBeGreaterThan(once)
    expect(kept[5]!).toBeLessThan(kept[0]!)
    for (const [i, loss] of kept.entries()) expect(again[i]!).toBeCloseTo(loss!, 5)
  })
})

describe('the schedule', () => {
  const setting = { learningRate: 1, warmup: 10, steps: 110, schedule: 'cosine' } as Train

  it('warms up linearly, then follows a cosine to a tenth', () => {
    expect(learningRate(setting, 1)).toBeCloseTo(0.1)
    expect(learningRate(setting, 10)).toBeCloseTo(1)
    expect(learningRate(setting, 60)).toBeCloseTo(0.55)
    expect(learningRate(setting, 110)).toBeCloseTo(0.1)
    expect(learningRate({ ...setting, schedule: 'constant' }, 110)).toBe(1)
    expect(learningRate({ ...setting, warmup: 0 }, 1)).toBeLessThanOrEqual(1)
  })
})

describe('AdamW', () => {
  it('does what its paper says, in float64 by hand, with clipping and decay of matrices only', async () => {
    const w = [1, -2]
    const g0 = [
      [3, 4],
      [0.3, -0.1],
    ]
    const matrix = tf.variable(tf.tensor2d([w]))
    const gain = tf.variable(tf.tensor1d(w))
    const setting = { betas: [0.9, 0.95] as [number, number], weightDecay: 0.1, clip: 1 }
    const optimizer = new AdamW(
      new Map<string, tf.Variable>([
        ['matrix', matrix],
        ['gain', gain],
      ]),
      setting,
    )
    const m = [0, 0]
    const v = [0, 0]
    const [byHand, gainByHand] = [[...w], [...w]]
    for (const [i, g] of g0.entries()) {
      const norm = Math.sqrt(2 * (g[0]! ** 2 + g[1]! ** 2))
      const scale = Math.min(1, 1 / (norm + 1e-6))
      for (const j of [0, 1]) {
        const c = g[j]! * scale
        m[j] = 0.9 * m[j]! + 0.1 * c
        v[j] = 0.95 * v[j]! + 0.05 * c * c
        const update = m[j]! / (1 - 0.9 ** (i + 1)) / (Math.sqrt(v[j]! / (1 - 0.95 ** (i + 1))) + 1e-8)
        byHand[j]! -= 0.01 * (update + 0.1 * byHand[j]!)
        gainByHand[j]! -= 0.01 * update
      }
      const gradients = new Map<string, tf.Tensor>([
        ['matrix', tf.tensor2d([g])],
        ['gain', tf.tensor1d(g)],
      ])
      const reported = await optimizer.step(() => ({ gradients }), i + 1, 0.01)
      expect(reported.norm).toBeCloseTo(norm, 5)
    }
    for (const j of [0, 1]) {
      expect((await matrix.data())[j]).toBeCloseTo(byHand[j]!, 6)
      expect((await gain.data())[j]).toBeCloseTo(gainByHand[j]!, 6)
    }
  })

  it('measures the norm over all tensors', async () => {
    const norm = globalNorm([tf.tensor1d([3]), tf.tensor2d([[0, 4]])])
    expect((await norm.data())[0]).toBeCloseTo(5)
  })
})

describe('the training step', () => {
  it('learns one batch by heart, and reports weights that sum to one', async () => {
    const config = runConfig()
    const student = new Student(config)
    const teachers = [teacherSource(config, 0), teacherSource(config, 1)]
    const step = new TrainingStep(config, student, createTables(model, 8), teachers)
    const first = await step.run(1, batch(1))
    let last = first
    for (let i = 2; i <= 20; i++) last = await step.run(i, batch(1))
    expect(last.loss!).toBeLessThan(numberOf(first.loss) * 0.9)
    expect(last.ce!).toBeLessThan(numberOf(first.ce))
    expect(last.alpha!.map(numberOf).reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    expect(last.teacherEntropy!.map(numberOf).every((h) => h > 0 && h <= Math.log(24) + 1e-4)).toBe(true)
    expect(last.disagreement!).toBeGreaterThanOrEqual(0)
    const { lambda, features } = config.experiment.loss
    const gamma = features === false ? 0 : features.gamma
    const [kd, ce, aligned] = [last.kd, last.ce, last.features].map(numberOf)
    const sum = lambda * kd! + (1 - lambda) * ce! + gamma * aligned!
    expect(last.loss!).toBeCloseTo(sum, 4)
  })

  it('gives the same losses bit by bit for the same seed, others for another', async () => {
    const once = await losses(runConfig(), 4)
    expect(await losses(runConfig(), 4)).toEqual(once)
    expect((await losses(runConfig({ seed: 2 }), 1))[0]).not.toBe(once[0])
  })

  it('with micro-batches follows the same path as without', async () => {
    const train = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
    const whole = await losses(runConfig({ train }), 5)
    const parts = await losses(runConfig({ train: { ...train, accumulate: 2 } }), 5)
    for (const [i, value] of whole.entries()) expect(Math.abs(parts[i]! - value!)).toBeLessThan(1e-4)
  })

  it('with the teachers ignored is the cross-entropy run, whatever the teachers', async () => {
    const off = { lambda: 0, features: false }
    expect(await losses(runConfig({ loss: off }), 3)).toEqual(await losses(runConfig({}, 0), 3))
  })

  it('leaves no tensors behind', async () => {
    const config = runConfig()
    const student = new Student(config)
    const teachers = [teacherSource(config, 0), teacherSource(config, 1)]
    const step = new TrainingStep(config, student, createTables(model, 8), teachers)
    await step.run(1, batch(1))
    const before = tf.memory().numTensors
    for (let i = 2; i < 6; i++) await step.run(i, batch(i))
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe('checkpoints', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'retort-'))
    return () => rmSync(folder, { recursive: true, force: true })
  })
  const about = (step: number) => ({ step, tokens: step * 32, seconds: 1 })

  it('bring back weights, moments and projections exactly: a resumed run is the undisturbed one', async () => {
    const config = runConfig()
    const teachers = [teacherSource(config, 0), teacherSource(config, 1)]
    const tables = createTables(model, 8)
    const run = async (student: Student, from: number, to: number) => {
      const step = new TrainingStep(config, student, tables, teachers)
      const result = []
      for (let i = from; i <= to; i++) result.push(await step.run(i, batch(i)))
      return result
    }
    const undisturbed = await run(new Student(config), 1, 6)
    const student = new Student(config)
    await run(student, 1, 3)
    const row = await writeCheckpoint(folder, model, await student.state(), about(3))
    const resumed = new Student(config, await readCheckpoint(folder, row))
    expect(await run(resumed, 4, 6)).toEqual(undisturbed.slice(3))
  })

  it('refuse a damaged file by name, and ignore a write that was cut off', async () => {
    const student = new Student(runConfig())
    const row = await writeCheckpoint(folder, model, await student.state(), about(3))
    rmSync(join(folder, 'step-000003', 'checkpoint.json'))
    expect(listCheckpoints(folder)).toEqual([])
    writeFileSync(join(folder, 'step-000003', 'checkpoint.json'), JSON.stringify(row))
    const file = join(folder, 'step-000003', 'optimizer.safetensors')
    const bytes = readFileSync(file)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(file, bytes)
    await expect(readCheckpoint(folder, row)).rejects.toThrow(
      /optimizer\.safetensors: the content is not what/,
    )
    rmSync(file)
    await expect(readCheckpoint(folder, row)).rejects.toThrow(/optimizer\.safetensors: the file is missing/)
  })

  it('are kept as asked: the newest ones and the best', async () => {
    const student = new Student(runConfig())
    const state = await student.state()
    for (const step of [10, 20, 30, 40]) await writeCheckpoint(folder, model, state, about(step))
    pruneCheckpoints(folder, 2, 10)
    expect(listCheckpoints(folder).map((row) => row.step)).toEqual([10, 30, 40])
  })
})

afterAll(() => tf.disposeVariables())
