import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  adapterName,
  adapterShapes,
  experiment,
  layerWeight,
  lora,
  parse,
  runFiles,
  weightShapes,
  type Lora,
  type ModelConfig,
} from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/forward'
import { dropoutMasks, LORA_SCALE, mergeAdapters } from '../model/lora'
import { nativeModel } from '../model/languageModel'
import { readModel, writeModel } from '../model/modelFolder'
import { decodeSafetensors } from '../model/safetensors'
import { initialise, toTensors, type Weights } from '../model/weights'
import { createRandom } from '../random'
import { keepBase, readBase } from './base'
import { readCheckpoint, writeCheckpoint } from './checkpoint'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

beforeAll(() => startBackend('onnx', { threads: 1 }))

const base = initialise(model, 7)

function configOf(own: Partial<Lora> = {}, train: Record<string, unknown> = {}) {
  const config = runConfig({
    train: { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01, ...train },
  })
  config.experiment.student = { from: 'm', layers: 'all', lora: lora.parse({ rank: 2, ...own }) }
  return config
}

const loraOf = (config: ReturnType<typeof configOf>) => config.experiment.student.lora!

async function train(config: ReturnType<typeof configOf>, student: Student, from: number, to: number) {
  const teachers = [teacherSource(config, 0), teacherSource(config, 1)]
  const step = new TrainingStep(config, student, createTables(model, 8), teachers)
  const result = []
  for (let i = from; i <= to; i++) result.push(await step.run(i, batch(i)))
  return result
}

const tokens = () => tf.tensor2d(batch(3).inputs, [4, 8], 'int32')
const logitsOf = (config: ModelConfig, weights: ReadonlyMap<string, tf.Tensor>) =>
  forward(config, weights, tokens(), createTables(config, 8)).logits.array()

function largest(a: number[][], b: number[][]): number {
  return Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!))))
}

describe('a student with adapters', () => {
  it('begins as the model that they stand beside, and trains nothing else', async () => {
    const config = configOf()
    const student = new Student(config, undefined, base)
    expect(await logitsOf(model, student.weights)).toEqual(await logitsOf(model, toTensors(base)))
    const steps = await train(config, student, 1, 8)
    expect(steps[7]!.loss!).toBeLessThan(Number(steps[0]!.loss))
    const { weights, moments } = await student.state()
    expect(new Set(weights.keys())).toEqual(new Set(adapterShapes(model, loraOf(config)).keys()))
    for (const name of moments.keys()) expect(name).toMatch(/lora_[AB]|projection/)
    for (const [name, { data }] of base)
      expect(Array.from(await student.weights.get(name)!.data())).toEqual(Array.from(data))
  })

  it('computes what the merged weights do: by the forward pass and with a KV cache', async () => {
    const config = configOf({ rank: 3, alpha: 5, targets: ['query', 'value', 'down'] })
    const student = new Student(config, undefined, base)
    await train(config, student, 1, 6)
    const { weights } = await student.state()
    const merged = mergeAdapters(model, loraOf(config), base, weights)
    const own = await logitsOf(model, student.weights)
    expect(largest(own, await logitsOf(model, toTensors(merged)))).toBeLessThan(1e-5)
    expect(largest(own, await logitsOf(model, toTensors(base)))).toBeGreaterThan(1e-3)
    const reader = nativeModel(model, student.weights).textReader()
    const first = Array.from(batch(3).inputs.subarray(0, 8))
    await reader.read([{ text: 0, ids: first.slice(0, 7) }])
    const [said] = await reader.read([{ text: 0, ids: first.slice(7) }])
    expect(Math.max(...own[7]!.map((value, i) => Math.abs(value - said![i]!)))).toBeLessThan(1e-5)
    // One adapter by hand: W + 5/3 B A.
    const name = layerWeight(1, 'value')
    const [a, b] = (['A', 'B'] as const).map((which) => weights.get(adapterName(name, which))!.data)
    let sum = 0
    for (let r = 0; r < 3; r++) sum += b![2 * 3 + r]! * a![r * 16 + 5]!
    expect(merged.get(name)!.data[2 * 16 + 5]).toBeCloseTo(
      base.get(name)!.data[2 * 16 + 5]! + (5 / 3) * sum,
      6,
    )
  })

  it.each([['none'], ['layers']])(
    'has the gradients that follow from the whole matrices’, checkpointing %s',
    async (checkpointing) => {
      const own = lora.parse({ rank: 2, alpha: 6 })
      const random = createRandom(5, 'adapters')
      const adapters: Weights = new Map(
        [...adapterShapes(model, own)].map(([name, shape]) => {
          const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => 0.1 * random.normal())
          return [name, { shape, data }]
        }),
      )
      const constants = new Map<string, tf.Tensor>([...toTensors(base), [LORA_SCALE, tf.scalar(3)]])
      const trained = new Map([...toTensors(adapters)].map(([name, t]) => [name, tf.variable(t)]))
      const whole = new Map(
        [...toTensors(mergeAdapters(model, own, base, adapters))].map(([name, t]) => [name, tf.variable(t)]),
      )
      const tables = createTables(model, 8)
      const gradients = (weights: ReadonlyMap<string, tf.Tensor>, of: ReadonlyMap<string, tf.Variable>) =>
        tf.variableGrads(
          () =>
            tf.mean(
              tf.square(
                forward(model, weights, tokens(), tables, { checkpointing: checkpointing === 'layers' })
                  .logits,
              ),
            ),
          [...of.values()],
        ).grads
      const given = gradients(new Map([...constants, ...trained]), trained)
      const full = gradients(whole, whole)
      for (const layer of [0, 1]) {
        for (const which of ['query', 'output', 'gate', 'down'] as const) {
          const name = layerWeight(layer, which)
          const dW = full[whole.get(name)!.name]! as tf.Tensor2D
          const [A, B] = (['A', 'B'] as const).map((x) => trained.get(adapterName(name, x))!) as [
            tf.Variable,
            tf.Variable,
          ]
          const wanted = [
            tf.mul(tf.matMul(B as unknown as tf.Tensor2D, dW, true), 3),
            tf.mul(tf.matMul(dW, A as unknown as tf.Tensor2D, false, true), 3),
          ]
          for (const [i, variable] of [A, B].entries()) {
            const [value, right] = [
              (await given[variable.name]!.array()) as number[][],
              (await wanted[i]!.array()) as number[][],
            ]
            const size = Math.max(...right.flat().map(Math.abs))
            expect(size).toBeGreaterThan(0)
            expect(largest(value, right) / size).toBeLessThan(1e-4)
          }
        }
      }
    },
  )

  it('leaves out a share of what adapters read, the same for the same step, and none when it is scored', async () => {
    const own = lora.parse({ rank: 2, dropout: 0.25 })
    const masks = dropoutMasks(model, own, 64, 1, '3')
    const values = await masks.get('lora.mask.0.query')!.data()
    const left = values.filter((value) => value === 0).length / values.length
    expect(left).toBeGreaterThan(0.2)
    expect(left).toBeLessThan(0.3)
    expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / 0.75)]))
    const again = await dropoutMasks(model, own, 64, 1, '3').get('lora.mask.0.query')!.data()
    expect(again).toEqual(values)
    expect(await dropoutMasks(model, own, 64, 1, '4').get('lora.mask.0.query')!.data()).not.toEqual(values)
    expect(masks.size).toBe(2 * 4)

    const config = configOf({ dropout: 0.25 })
    const run = async (steps: number) => {
      const student = new Student(config, undefined, base)
      return { path: await train(config, student, 1, steps), student }
    }
    const [one, two] = [await run(4), await run(4)]
    expect(two.path).toEqual(one.path)
    const without = configOf()
    const plain = await train(without, new Student(without, undefined, base), 1, 4)
    expect(plain.map(({ loss }) => loss)).not.toEqual(one.path.map(({ loss }) => loss))
    expect([...one.student.weights.keys()].some((name) => name.includes('mask'))).toBe(false)
  })
})

describe('checkpoints of adapters', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'retort-'))
    return () => rmSync(folder, { recursive: true, force: true })
  })
  const about = (step: number) => ({ step, tokens: step * 32, seconds: 1 })

  it.each([0, 0.3])('hold nothing else and bring a run back exactly, dropout %d', async (dropout) => {
    const config = configOf({ dropout }, { accumulate: 2 })
    const stored = await keepBase(folder, config, base)
    const undisturbed = await train(config, new Student(config, undefined, base), 1, 6)
    const student = new Student(config, undefined, base)
    await train(config, student, 1, 3)
    const checkpoints = join(folder, runFiles.checkpoints)
    const row = await writeCheckpoint(checkpoints, model, await student.state(), about(3), stored)
    const at = join(checkpoints, 'step-000003')
    const file = join(at, 'model.safetensors')
    expect(new Set(decodeSafetensors(readFileSync(file), file).keys())).toEqual(
      new Set(adapterShapes(model, loraOf(config)).keys()),
    )
    const kept = (await readBase(folder, config, 3))!
    const resumed = new Student(config, await readCheckpoint(checkpoints, row), kept)
    expect(await train(config, resumed, 4, 6)).toEqual(undisturbed.slice(3))
    // Whoever reads it gets the whole model.
    const read = await readModel(at)
    expect(read.config).toEqual(model)
    expect(new Set(read.weights.keys())).toEqual(new Set(weightShapes(model).keys()))
    const merged = await logitsOf(model, toTensors(read.weights))
    const before = new Student(config, await readCheckpoint(checkpoints, row), kept)
    expect(largest(await logitsOf(model, before.weights), merged)).toBeLessThan(1e-5)
  })

  it('are no model without the base that they were trained beside', async () => {
    const config = configOf()
    const stored = await keepBase(folder, config, base)
    const checkpoints = join(folder, runFiles.checkpoints)
    const student = new Student(config, undefined, base)
    await writeCheckpoint(checkpoints, model, await student.state(), about(1), stored)
    const at = join(checkpoints, 'step-000001')
    await writeModel(join(folder, runFiles.base), model, initialise(model, 8))
    // Neither for who reads it nor for the run that goes on from it.
    for (const read of [() => readModel(at), () => readBase(folder, config, 1)]) {
      await expect(read()).rejects.toThrow(/the model that the adapters stand beside has changed since/)
    }
    rmSync(join(folder, runFiles.base), { recursive: true })
    for (const read of [() => readModel(at), () => readBase(folder, config, 1)])
      await expect(read()).rejects.toThrow(/base.*model\.json: the file is missing/)
    expect(await readBase(folder, config)).toBeUndefined()
  })

  it('of another shape are refused by name', async () => {
    const config = configOf()
    const stored = await keepBase(folder, config, base)
    const at = join(folder, 'x')
    const { weights } = await new Student(config, undefined, base).state()
    const name = adapterName(layerWeight(1, 'up'), 'B')
    weights.set(name, { shape: [1, 2], data: new Float32Array(2) })
    await writeModel(join(at, runFiles.base), model, base)
    await writeModel(at, model, weights, stored)
    await expect(readModel(at)).rejects.toThrow(`${name}: the tensor has shape [1, 2]; expected [32, 2]`)
  })
})

describe('what a definition says of adapters', () => {
  const definition = (student: unknown) => ({ name: 'e', corpus: 'c', teachers: ['t'], student })

  it('has the usual sizes where it says nothing', () => {
    const { student } = parse(experiment, definition({ from: 't', lora: {} }))
    expect(student).toEqual({
      from: 't',
      layers: 'all',
      lora: { rank: 8, alpha: 16, targets: 'all', dropout: 0 },
    })
    expect(parse(experiment, definition({ from: 't' })).student).toEqual({ from: 't', layers: 'all' })
  })

  it.each([
    [{ width: 8, layers: 1, heads: 1, lora: {} }, /^student\.lora: .*student\.from/],
    [{ from: 't', lora: { rank: 0 } }, /^student\.lora\.rank: /],
    [{ from: 't', lora: { targets: ['embedding'] } }, /^student\.lora\.targets/],
    [{ from: 't', lora: { dropout: 1 } }, /^student\.lora\.dropout: /],
    [{ from: 't', lora: { r: 4 } }, /^student\.lora\.r: unknown key/],
  ])('is refused: %j', (student, message) => {
    expect(() => parse(experiment, definition(student))).toThrow(message)
  })
})
