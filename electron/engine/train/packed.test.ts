import { beforeAll, describe, expect, it } from 'vitest'
import { numberOf, studentArchitecture, type Family, type ModelConfig, type RunConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { countFrom } from '../data/packing'
import { createTables, forward } from '../model/forward'
import { layoutOf } from '../model/packed'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import type { TeacherSource } from '../teachers/source'
import { TrainingStep } from './step'
import { Student } from './student'
import { model, runConfig, teacherModel } from './testing'
import type { TokenBatch } from './tokenBatch'

const TIME = 12
/** Tokens of the examples of each sequence; what is left is padding. */
const PACKED = [
  [4, 1, 6],
  [3, 9],
]

beforeAll(() => startBackend('onnx', { threads: 1 }))

/** The same examples together, as above, and each in a sequence of its own; of each some tokens count. */
function batches(): { together: TokenBatch; single: TokenBatch } {
  const random = createRandom(4, 'packed')
  const count = PACKED.flat().length
  const make = (rows: number) => ({
    inputs: new Int32Array(rows * TIME),
    targets: new Int32Array(rows * TIME),
    mask: new Float32Array(rows * TIME),
    corpora: new Int32Array(rows),
  })
  const [together, single] = [{ ...make(2), positions: new Int32Array(2 * TIME) }, make(count)]
  let example = 0
  for (const [row, sizes] of PACKED.entries()) {
    let at = row * TIME
    for (const size of sizes) {
      for (let i = 0; i < size; i++) {
        const [input, target] = [random.integer(model.vocab), random.integer(model.vocab)]
        const counts = i === size - 1 || random.next() < 0.6 ? 1 : 0
        for (const [batch, place] of [
          [together, at + i],
          [single, example * TIME + i],
        ] as const) {
          batch.inputs[place] = input
          batch.targets[place] = target
          batch.mask[place] = counts
        }
      }
      countFrom(together.positions, at, (at += size))
      example++
    }
    countFrom(together.positions, at, (row + 1) * TIME)
  }
  return { together, single }
}

function source(config: RunConfig, k: number): TeacherSource {
  const { model: own } = config.teachers[k]! as { model: ModelConfig }
  const parameters = toTensors(initialise(own, 100 + k))
  const tables = createTables(own, TIME)
  return {
    row: config.teachers[k]!,
    signal: (tokens, { positions, ...options } = {}) =>
      forward(own, parameters, tokens, layoutOf(tables, positions), options),
    dispose: () => tf.dispose([...parameters.values()]),
  }
}

/** Losses and the teachers' weights of a step, and AdamW's first moments: a tenth of the gradients. */
async function stepped(changes: Record<string, unknown>, family: Family, batch: TokenBatch) {
  const ofFamily = (base: ModelConfig): ModelConfig => {
    const shape = { ...base, context: TIME, ...(family === 'gpt2' && { kvHeads: base.heads }) }
    const architecture = studentArchitecture(family, shape)
    return { ...shape, family, ...(architecture && { architecture }) }
  }
  const rows = batch.inputs.length / TIME
  const { train, ...others } = changes as { train?: object }
  const plain = runConfig({
    ...others,
    train: { steps: 20, batch: rows, context: TIME, warmup: 2, learningRate: 0.01, clip: 0, ...train },
  })
  const teachers = plain.teachers.map((row) => ({ ...row, model: ofFamily(teacherModel) }))
  const config = { ...plain, student: ofFamily(model), teachers }
  const student = new Student(config)
  const tables = createTables(config.student, TIME)
  const step = new TrainingStep(
    config,
    student,
    tables,
    config.teachers.map((_, k) => source(config, k)),
  )
  const { kd, ce, loss, features, gradNorm, disagreement, alpha, teacherEntropy } = await step.run(1, batch)
  const figures = [
    kd,
    ce,
    loss,
    features,
    gradNorm,
    disagreement,
    ...(alpha ?? []),
    ...(teacherEntropy ?? []),
  ]
  const { moments } = await student.state()
  const gradients = [...moments].map(([name, { data }]) => [name, Float32Array.from(data)] as const)
  student.dispose()
  return { figures: figures.filter((figure) => figure !== undefined).map(numberOf), gradients }
}

const features = { gamma: 0.3, layers: 'uniform', attention: 'kl', beta: 'alpha', embedding: true }
const settings: [string, Family, Record<string, unknown>][] = [
  ...(['llama', 'qwen3', 'gemma3_text', 'gpt2', 'smollm3', 'opt'] as const).map(
    (family): [string, Family, Record<string, unknown>] => [family, family, { loss: { tau: 2, features } }],
  ),
  ['attention by its squares', 'llama', { loss: { features: { ...features, attention: 'mse' } } }],
  ['weights of an example', 'llama', { weighting: { granularity: 'sequence' } }],
  ['weights of a batch', 'llama', { weighting: { granularity: 'batch', strategy: 'label-confidence' } }],
  ['outliers dropped', 'llama', { loss: { conflict: 'drop', quantile: 0.7 } }],
  ['gated', 'llama', { loss: { conflict: 'gate', objective: 'reverse-kl' } }],
  ['layers computed again', 'gemma3_text', { train: { checkpointing: 'layers' } }],
  ['no teachers', 'qwen3', { teachers: [], loss: { lambda: 0 } }],
]

describe.each(settings)('a step over packed examples: %s', (_, family, changes) => {
  it('computes what one example a sequence gives', async () => {
    const { together, single } = batches()
    const packed = await stepped(changes, family, together)
    const alone = await stepped(changes, family, single)
    expect(packed.figures.length).toBeGreaterThan(1)
    expect(packed.figures).toHaveLength(alone.figures.length)
    for (const [i, figure] of alone.figures.entries())
      expect(Math.abs(packed.figures[i]! - figure), `figure ${i}`).toBeLessThan(
        1e-5 * Math.max(1, Math.abs(figure)),
      )
    let largest = 0
    for (const [i, [name, values]] of alone.gradients.entries())
      for (const [j, value] of values.entries()) {
        largest = Math.max(largest, Math.abs(value))
        expect(Math.abs(packed.gradients[i]![1][j]! - value), name).toBeLessThan(
          1e-5 * Math.max(0.1, Math.abs(value)),
        )
      }
    expect(largest).toBeGreaterThan(1e-4)
  })
})

it('adds up micro-batches as one', async () => {
  const { together } = batches()
  const whole = await stepped({}, 'llama', together)
  const parts = await stepped({ train: { accumulate: 2 } }, 'llama', together)
  for (const [i, figure] of whole.figures.entries()) expect(parts.figures[i]).toBeCloseTo(figure, 5)
})
