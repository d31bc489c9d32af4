import { beforeAll, describe, expect, it } from 'vitest'
import { numberOf, type RunConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { alignTokens, type TokenStream } from '../data/alignment'
import { createBatchPlan } from '../data/batchPlan'
import { windowTime } from '../data/spanWindow'
import { createTables, forward } from '../model/forward'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import { ForeignTeacher } from '../teachers/foreign'
import type { StepMetrics } from './measured'
import { TrainingStep } from './step'
import { Student } from './student'
import { model, runConfig, teacherModel, teacherSource } from './testing'

/** Real steps with a teacher that reads letters where the student reads pairs of them. */

const random = createRandom(3, 'text')
const letters = 'abcd'
const texts = Array.from({ length: 20 }, () =>
  Array.from({ length: 40 }, () => letters[random.integer(4)]!).join(''),
)

/** Ids of one tokenizer: 0 is BOS, then its pieces. */
function stream(pieces: readonly string[], offset = 1): TokenStream {
  const ids = texts.flatMap((text) => {
    const own = [0]
    for (let at = 0; at < text.length;) {
      const piece = pieces.findIndex((one) => text.startsWith(one, at))
      own.push(piece + offset)
      at += pieces[piece]!.length
    }
    return own
  })
  const piece = (id: number) => Buffer.from(pieces[id - offset] ?? '')
  return { name: 'test', ids: Int32Array.from(ids), tokenizer: { bos: 0, piece } }
}
const pairs = ['ab', 'ca', 'dd', 'bc', ...letters]
const student = stream(pairs)
const plan = createBatchPlan({
  seed: 1,
  batch: 4,
  context: 8,
  sources: [{ name: 'text', tokens: student, weight: 1 }],
})

const row = runConfig({}, 1).teachers[0]!
const tokenizer = runConfig().tokenizer

/** A run with `own` teachers of the student's tokenizer, and after them one of another. */
function configWith(own: number, loss: object = {}, changes: object = {}): RunConfig {
  const names = Array.from({ length: own + 1 }, (_, k) => `teacher ${k}`)
  const config = runConfig({ teachers: names, loss: { features: false, tau: 2, ...loss }, ...changes }, own)
  const experiment = { ...config.experiment, teachers: names }
  return { ...config, experiment, foreign: [{ row: { ...row, id: 'other' }, tokenizer, place: own }] }
}

function foreignTeacher(its: TokenStream, share: number): ForeignTeacher {
  const parameters = toTensors(initialise({ ...teacherModel, context: 32 }, 50))
  const spans = alignTokens(student, its, 'test')
  const text = { spans, teacher: its.ids }
  const time = windowTime([text], 8, 32)
  const tables = createTables(teacherModel, time)
  const source = {
    row,
    signal: (tokens: tf.Tensor2D) => forward(teacherModel, parameters, tokens, tables),
    dispose: () => {},
  }
  return new ForeignTeacher(source, share, { train: [text], 'held-out': [text] }, 8, time)
}

async function train(config: RunConfig, steps: number, its = stream([...letters])): Promise<StepMetrics[]> {
  const own = config.teachers.map((_, k) => teacherSource(config, k))
  const foreign = [foreignTeacher(its, 1 / (own.length + 1))]
  const tables = createTables(model, 8)
  const step = new TrainingStep(config, new Student(config), tables, own, undefined, foreign)
  const records: StepMetrics[] = []
  for (let i = 1; i <= steps; i++) records.push(await step.run(i, plan.at(1)))
  return records
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe.each(['spans', 'uld'] as const)('compared by %s', (compare) => {
  const foreign = { compare }

  it('the student comes closer to the teacher, and the record holds what it is', async () => {
    const records = await train(configWith(0, { lambda: 1, foreign }), 20)
    const [first, last] = [records[0]!, records.at(-1)!]
    expect(last.foreign![0]!).toBeLessThan(numberOf(first.foreign![0]) * 0.8)
    expect(last).not.toHaveProperty('kd')
    expect(last).not.toHaveProperty('alpha')
    expect(last.loss!).toBeCloseTo(numberOf(last.foreign![0]), 5)
  })

  it('beside teachers of the student’s tokenizer its share of lambda is one of three', async () => {
    const [record] = await train(configWith(2, { lambda: 0.6, foreign: { compare, weight: 2 } }), 1)
    const { alpha } = record!
    const [loss, kd, ce, apart] = [record!.loss, record!.kd, record!.ce, record!.foreign![0]].map(numberOf)
    expect(loss!).toBeCloseTo(0.6 * ((2 / 3) * kd! + 2 * (1 / 3) * apart!) + 0.4 * ce!, 4)
    expect(alpha).toHaveLength(2)
  })

  it('micro-batches take the same steps as the whole', async () => {
    const shape = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
    const whole = await train(configWith(1, { foreign }, { train: shape }), 4)
    const parts = await train(configWith(1, { foreign }, { train: { ...shape, accumulate: 2 } }), 4)
    for (const [i, { loss, foreign: apart }] of whole.entries()) {
      expect(Math.abs(numberOf(parts[i]!.loss) - numberOf(loss))).toBeLessThan(1e-4)
      expect(Math.abs(numberOf(parts[i]!.foreign![0]) - numberOf(apart![0]))).toBeLessThan(1e-4)
    }
  })

  it('two runs of a seed are the same, bit for bit', async () => {
    const config = configWith(1, { foreign })
    expect(await train(config, 4)).toEqual(await train(config, 4))
  })
})

it('a teacher of the student’s own pieces under other ids says what it says in the binarised form', async () => {
  const its = stream(pairs, 5)
  const teacher = foreignTeacher(its, 1)
  const { inputs, corpora, starts } = plan.at(1)
  const batch = teacher.read({ split: 'train', corpora, starts })
  const { time } = teacher.shape
  // The same sequences, shifted ids: every token but the first of a window is a span of its own.
  for (let r = 0; r < 4; r++) {
    for (let i = 0; i < 8; i++) {
      const own = inputs[r * 8 + i]!
      expect(batch.inputs[r * time + i]).toBe(own ? own + 4 : 0)
    }
  }
  expect([...batch.begins]).toEqual(Array(32).fill(1))
  const [record] = await train(configWith(0, { lambda: 1, tau: 1 }), 1, its)
  const config = configWith(0)
  const logits = async (vocabModel: typeof model, seed: number, tokens: Int32Array, length: number) => {
    const tables = createTables(vocabModel, length)
    const parameters = toTensors(initialise(vocabModel, seed))
    const out = tf.tidy(
      () => forward(vocabModel, parameters, tf.tensor2d(tokens, [4, length], 'int32'), tables).logits,
    )
    return (await out.array()) as number[][]
  }
  const z = await logits(model, config.experiment.seed, inputs, 8)
  const zT = await logits(teacherModel, 50, batch.inputs, time)
  const probability = (row: number[], id: number) =>
    Math.exp(row[id]!) / row.reduce((sum, x) => sum + Math.exp(x), 0)
  const { targets } = plan.at(1)
  let sum = 0
  for (let i = 0; i < 32; i++) {
    const j = Math.floor(i / 8) * time + (i % 8)
    const [q, p] = [probability(z[i]!, targets[i]!), probability(zT[j]!, targets[i]! ? targets[i]! + 4 : 0)]
    sum += p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q))
  }
  expect(record!.foreign![0]!).toBeCloseTo(sum / 32, 5)
})
