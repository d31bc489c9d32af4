import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { isNumber, numberOf, type LossScaleState, type RunConfig } from '#contract'
import { startBackend, type BackendKind } from '../backend'
import { probeHalf } from '../backend/webgpu'
import { webgpuObstacle } from '../backend/webgpuObstacle'
import { createTables } from '../model/forward'
import { readCheckpoint, writeCheckpoint } from './checkpoint'
import { LossScale } from './lossScale'
import type { StepMetrics } from './measured'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

const STEPS = 20
const train = { steps: STEPS, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
const setting = {
  weighting: { strategy: 'entropy', granularity: 'token' },
  loss: { lambda: 0.6, tau: 2, features: { gamma: 0.3, layers: 'uniform' } },
}
const f32 = runConfig({ ...setting, train })
const f16 = runConfig({ ...setting, train: { ...train, precision: 'f16' } })

async function run(config: RunConfig, student: Student, from: number, to: number): Promise<StepMetrics[]> {
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 20 + 10 * k))
  const step = new TrainingStep(config, student, createTables(model, 8), teachers)
  const path: StepMetrics[] = []
  for (let i = from; i <= to; i++) path.push(await step.run(i, batch(i)))
  for (const teacher of teachers) teacher.dispose()
  return path
}

async function scaledBy(state: LossScaleState): Promise<Student> {
  const initial = await new Student(f16).state()
  return new Student(f16, { ...initial, lossScale: state })
}

/** The largest difference of a figure, relative to its value in f32. */
function furthest(path: StepMetrics[], expected: StepMetrics[], of: 'loss' | 'gradNorm'): number {
  return Math.max(...expected.map((step, i) => Math.abs(numberOf(path[i]![of]) / numberOf(step[of]) - 1)))
}

describe('the loss scale', () => {
  it('is halved where gradients overflow, and doubled after 2,000 updates in a row', () => {
    const scale = new LossScale()
    expect(scale.factor).toBe(65536)
    expect([scale.judge(NaN), scale.judge(Infinity)]).toEqual([false, false])
    expect(scale.factor).toBe(16384)
    for (let i = 0; i < 1999; i++) expect(scale.judge(1)).toBe(true)
    expect(scale.factor).toBe(16384)
    scale.judge(1)
    expect(scale.state).toEqual({ factor: 32768, updates: 0, skipped: 2 })
    for (let i = 0; i < 1999; i++) scale.judge(1)
    scale.judge(Infinity)
    expect(scale.state).toEqual({ factor: 16384, updates: 0, skipped: 3 })
  })

  it('never leaves its bounds', () => {
    const scale = new LossScale()
    for (let i = 0; i < 40; i++) scale.judge(Infinity)
    expect(scale.factor).toBe(1)
    for (let i = 0; i < 60_000; i++) scale.judge(1)
    expect(scale.factor).toBe(2 ** 24)
  })
})

describe('training in half precision', () => {
  beforeEach(() => startBackend('onnx', { threads: 1 }))

  // Half precision has 11 significant bits: one rounding is off by at most 2^-11, 4.9e-4 of the value; many average
  // out (20 steps are 2e-4 off), and as much again is left to other orders of sums on other machines.
  it(`takes a step as f32 does to 5e-4, and ${STEPS} steps to 1e-3`, async () => {
    const [ours, expected] = [
      await run(f16, new Student(f16), 1, STEPS),
      await run(f32, new Student(f32), 1, STEPS),
    ]
    expect(ours[0]).not.toEqual({ ...expected[0], lossScale: 65536 })
    expect(furthest(ours.slice(0, 1), expected.slice(0, 1), 'loss')).toBeLessThan(5e-4)
    expect(furthest(ours.slice(0, 1), expected.slice(0, 1), 'gradNorm')).toBeLessThan(5e-4)
    expect(furthest(ours, expected, 'loss')).toBeLessThan(1e-3)
    expect(furthest(ours, expected, 'gradNorm')).toBeLessThan(1e-3)
    expect(ours.every(({ lossScale }) => lossScale === 65536)).toBe(true)
  })

  it('loses gradients that the scale leaves too small, and keeps them where it is large enough', async () => {
    const [expected] = await run(f32, new Student(f32), 1, 1)
    const norm = async (factor: number) =>
      numberOf((await run(f16, await scaledBy({ factor, updates: 0, skipped: 0 }), 1, 1))[0]!.gradNorm) /
      numberOf(expected!.gradNorm)
    expect(Math.abs((await norm(2 ** -20)) - 1)).toBeGreaterThan(0.1)
    expect(Math.abs((await norm(65536)) - 1)).toBeLessThan(5e-4)
  })

  it('leaves out an update whose gradients overflow, and nothing else changes but the scale', async () => {
    const student = await scaledBy({ factor: 2 ** 40, updates: 7, skipped: 0 })
    const before = await student.state()
    const [skipped] = await run(f16, student, 1, 1)
    expect(isNumber(skipped!.gradNorm)).toBe(false)
    expect(skipped).toMatchObject({ lossScale: 2 ** 40 })
    expect(skipped!.loss).toBeGreaterThan(0)
    const after = await student.state()
    expect(after).toEqual({ ...before, lossScale: { factor: 2 ** 39, updates: 0, skipped: 1 } })
    const path = await run(f16, student, 2, 30)
    const left = path.filter(({ gradNorm }) => !isNumber(gradNorm)).length
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(path.length)
    expect(student.lossScale!.state).toMatchObject({ factor: 2 ** (39 - left), skipped: 1 + left })
  })

  it('goes on from a checkpoint, scale and all, as if it had never stopped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'retort-'))
    const state = { factor: 2 ** 24, updates: 1998, skipped: 1 }
    const undisturbed = await run(f16, await scaledBy(state), 1, 8)
    const student = await scaledBy(state)
    await run(f16, student, 1, 4)
    const about = { step: 4, tokens: 4 * 32, seconds: 1 }
    const row = await writeCheckpoint(folder, model, await student.state(), about)
    const resumed = new Student(f16, await readCheckpoint(folder, row))
    expect(await run(f16, resumed, 5, 8)).toEqual(undisturbed.slice(4))
    rmSync(folder, { recursive: true })
  })

  it('takes f32’s path bit for bit where nothing waits in half precision: the scale rounds nothing', async () => {
    await startBackend('cpu', { threads: 1 })
    const ours = await run(f16, new Student(f16), 1, 2)
    const expected = await run(f32, new Student(f32), 1, 2)
    expect(ours).toEqual(expected.map((step) => ({ ...step, lossScale: 65536 })))
  })
})

describe('training in half precision on WebGPU', () => {
  it(`takes the CPU's ${STEPS} steps to 1e-3`, async () => {
    const obstacle = (await webgpuObstacle()) ?? (await probeHalf().catch((error: Error) => error.message))
    if (obstacle) {
      process.stderr.write(`SKIPPED: training in half precision on WebGPU: ${obstacle}\n`)
      return
    }
    const on = async (kind: BackendKind) => {
      await startBackend(kind, { threads: 1 })
      return run(f16, new Student(f16), 1, STEPS)
    }
    const [ours, expected] = [await on('webgpu'), await on('onnx')]
    expect(furthest(ours, expected, 'loss')).toBeLessThan(1e-3)
    expect(furthest(ours, expected, 'gradNorm')).toBeLessThan(1e-3)
  }, 120_000)
})
