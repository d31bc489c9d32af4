import { beforeAll, expect, it } from 'vitest'
import { startBackend } from '../backend'
import type { LazyBackend } from '../backend/lazyBackend'
import { tf } from '../backend/tf'
import { createTables } from '../model/forward'
import type { TeacherSource } from '../teachers/source'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

const train = { steps: 9, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }

/** The metrics of each step, and the weights after the last. */
async function trained(changes: Record<string, unknown>, wrap: (teacher: TeacherSource) => TeacherSource) {
  const config = runConfig({
    train,
    ...changes,
  })
  const student = new Student(config)
  const teachers = config.teachers.map((_, k) => wrap(teacherSource(config, k)))
  const step = new TrainingStep(config, student, createTables(model, 8), teachers)
  const metrics = []
  for (let i = 1; i <= 9; i++) metrics.push(await step.run(i, batch(i)))
  const { weights, moments } = await student.state()
  const state = [...weights, ...moments].map(([name, { data }]) => [
    name,
    Buffer.from(data.slice().buffer).toString('base64'),
  ])
  student.dispose()
  return { metrics, state }
}

const replayed = () => (tf.backend() as LazyBackend).statistics.replayed

it.each([
  ['features', {}],
  ['weights drawn anew each step', { weighting: { strategy: 'random' } }],
  ['layers computed again', { train: { ...train, checkpointing: 'layers' } }],
  ['features first, then logits', { loss: { features: { gamma: 0.1, first: 0.5 } } }],
  ['micro-batches', { train: { ...train, accumulate: 2 } }],
  ['half precision', { train: { ...train, precision: 'f16' } }],
  ['micro-batches in half precision', { train: { ...train, accumulate: 4, precision: 'f16' } }],
])('steps that are not recorded are bit for bit those that are: %s', async (_, changes) => {
  const start = replayed()
  const spared = await trained(changes, (teacher) => teacher)
  const count = replayed() - start
  // A teacher that prepares something is asked anew each step.
  const recorded = await trained(changes, (teacher) => ({ ...teacher, prepare: async () => {} }))
  expect(replayed() - start).toBe(count)
  expect(count).toBeGreaterThanOrEqual(4)
  expect(spared).toEqual(recorded)
})

/** Says of each batch what it has read into memory that it uses again, as a cache does. */
function reader(teacher: TeacherSource, tells: boolean): TeacherSource {
  const logits = new Float32Array(32 * model.vocab)
  const read: TeacherSource = {
    row: teacher.row,
    prepare: async (inputs) => {
      for (const i of logits.keys()) logits[i] = Math.sin(i * (1 + inputs[i % 32]!))
    },
    signal: (tokens) => ({ logits: tf.tensor2d(logits, [tokens.size, model.vocab]), hidden: [] }),
    dispose: () => teacher.dispose(),
  }
  return tells ? { ...read, prepared: () => [logits] } : read
}

it('steps whose teachers say what they have prepared are not recorded either', async () => {
  const changes = { loss: { features: false } }
  const start = replayed()
  const spared = await trained(changes, (teacher) => reader(teacher, true))
  // Not the first, after which the weights move to where they are changed in place, and two to compare.
  expect(replayed() - start).toBe(6)
  const recorded = await trained(changes, (teacher) => reader(teacher, false))
  expect(replayed() - start).toBe(6)
  expect(spared).toEqual(recorded)
})
