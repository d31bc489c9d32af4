import { beforeAll, describe, expect, it } from 'vitest'
import { numberOf, type Corpus, type StepRecord } from '#contract'
import { startBackend } from '../backend'
import type { LazyBackend } from '../backend/lazyBackend'
import { tf } from '../backend/tf'
import { createBatchPlan } from '../data/batchPlan'
import { createTables } from '../model/forward'
import { createRandom } from '../random'
import { readTeachers } from './alarms/teacherFigures'
import { TrainingStep } from './step'
import type { TokenBatch } from './tokenBatch'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

const train = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
const [ROWS, TIME] = [4, 8]

beforeAll(() => startBackend('onnx', { threads: 1 }))

/** The metrics of each batch's step, and the weights after the last. */
async function trained(changes: Record<string, unknown>, batches: TokenBatch[]) {
  const config = runConfig({ train, ...changes })
  const student = new Student(config)
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 8))
  const step = new TrainingStep(
    config,
    student,
    createTables(model, config.experiment.train.context),
    teachers,
  )
  const metrics = []
  for (const [i, one] of batches.entries()) metrics.push(await step.run(i + 1, one))
  const { weights } = await student.state()
  const state = [...weights].map(([name, { data }]) => [name, [...data]] as const)
  student.dispose()
  return { metrics, state }
}

/** Which tokens of each row count, from and to, as in examples of unlike length. */
const spans = [
  [1, 4],
  [0, 7],
  [3, 5],
  [2, 3],
] as const
const mask = Float32Array.from({ length: ROWS * TIME }, (_, i) => {
  const [from, to] = spans[Math.floor(i / TIME)]!
  return i % TIME >= from && i % TIME < to ? 1 : 0
})

/** Other labels wherever none counts, and other inputs after the last that does. */
function disturbed({ inputs, targets }: TokenBatch): TokenBatch {
  const other = batch(99)
  return {
    inputs: inputs.map((id, i) => (i % TIME >= spans[Math.floor(i / TIME)]![1] ? other.inputs[i]! : id)),
    targets: targets.map((id, i) => (mask[i] ? id : other.targets[i]!)),
    mask,
  }
}

/** Those that are there; the first two are the teachers' and the labels' part. */
function figures({
  kd,
  ce,
  loss,
  features,
  gradNorm,
  disagreement,
  alpha,
  teacherEntropy,
}: Partial<StepRecord>) {
  const all = [kd, ce, loss, features, gradNorm, disagreement, ...(alpha ?? []), ...(teacherEntropy ?? [])]
  return all.filter((figure) => figure !== undefined).map(numberOf)
}

function expectNear(actual: number[], expected: number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length)
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i]! - value), `figure ${i}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(value)),
    )
}

const features = { gamma: 0.3, layers: 'uniform', attention: 'kl', beta: 'alpha', embedding: true }
const settings = [
  ['forward KL', {}],
  ['at another temperature', { loss: { tau: 2 } }],
  ['reverse KL', { loss: { objective: 'reverse-kl' } }],
  ['jsd', { loss: { objective: 'jsd', features: { ...features, attention: 'mse' } } }],
  ['features by their cosine', { loss: { features: { ...features, distance: 'cosine' } } }],
  ['gated', { loss: { conflict: 'gate', features } }],
  ['outliers dropped', { loss: { conflict: 'drop', quantile: 0.7, features: false } }],
  ['weights of a sequence', { weighting: { granularity: 'sequence' } }],
  ['weights of a batch', { weighting: { granularity: 'batch', strategy: 'label-confidence' } }],
  ['micro-batches', { train: { ...train, accumulate: 2 } }],
] as const

describe.each(settings)('a mask over the tokens: %s', (_, changes) => {
  it('of ones changes nothing beyond rounding', async () => {
    const ones = new Float32Array(ROWS * TIME).fill(1)
    const masked = await trained(changes, [{ ...batch(1), mask: ones }])
    const plain = await trained(changes, [batch(1)])
    expectNear(figures(masked.metrics[0]!), figures(plain.metrics[0]!), 2e-5)
  })

  it('leaves nothing of the tokens that do not count', async () => {
    const one = await trained(changes, [{ ...batch(1), mask }])
    const other = await trained(changes, [disturbed(batch(1))])
    expectNear(figures(other.metrics[0]!), figures(one.metrics[0]!), 1e-5)
    for (const [i, [name, values]] of one.state.entries())
      for (const [j, value] of values.entries())
        expect(Math.abs(other.state[i]![1][j]! - value), name).toBeLessThan(1e-4)
  })
})

it('gives the mean over the tokens that count of the rows computed alone', async () => {
  const whole = { ...batch(1), mask }
  const { metrics } = await trained({}, [whole])
  const sums = [0, 0]
  for (let row = 0; row < ROWS; row++) {
    const part = <T extends Int32Array | Float32Array>(all: T) =>
      all.subarray(row * TIME, (row + 1) * TIME) as T
    const alone = { inputs: part(whole.inputs), targets: part(whole.targets), mask: part(mask) }
    const single = figures((await trained({ train: { ...train, batch: 1 } }, [alone])).metrics[0]!)
    const count = alone.mask.reduce((a, b) => a + b)
    for (const i of sums.keys()) sums[i]! += single[i]! * count
  }
  const total = mask.reduce((a, b) => a + b)
  expectNear(
    figures(metrics[0]!).slice(0, 2),
    sums.map((sum) => sum / total),
    1e-5,
  )
})

it('sums micro-batches by the tokens of the whole step', async () => {
  const whole = await trained({}, [{ ...batch(1), mask }])
  const parts = await trained({ train: { ...train, accumulate: 4 } }, [{ ...batch(1), mask }])
  expectNear(figures(parts.metrics[0]!), figures(whole.metrics[0]!), 1e-5)
})

it('is read anew where a step is not recorded', async () => {
  const batches = Array.from({ length: 9 }, (_, i) => {
    const one = batch(i)
    return { ...one, mask: Float32Array.from(one.inputs, (id) => (id % 3 ? 1 : 0)) }
  })
  const replayed = () => (tf.backend() as LazyBackend).statistics.replayed
  const start = replayed()
  const spared = await trained({}, batches)
  expect(replayed() - start).toBeGreaterThanOrEqual(4)
  // The first two steps are always recorded: a run that begins there computes nothing but.
  for (let from = 6; from < 8; from++) {
    const other = await trained({}, [...batches.slice(0, from), { ...batches[from]!, mask: undefined }])
    expect(other.metrics[from - 1]).toEqual(spared.metrics[from - 1])
    expect(other.metrics[from]).not.toEqual(spared.metrics[from])
  }
})

it('refuses a batch of which nothing counts', async () => {
  const none = { ...batch(1), mask: new Float32Array(ROWS * TIME) }
  await expect(trained({}, [none])).rejects.toThrow('no token counts')
})

it('of examples filled up to one length gives what each gives alone at its own', async () => {
  const random = createRandom(5, 'examples')
  const lengths = [9, 4, 6, 2, 7]
  const ids = Int32Array.from({ length: lengths.reduce((a, b) => a + b) }, () => random.integer(model.vocab))
  const documents = Int32Array.from(
    lengths.flatMap((length, i) => {
      const start = lengths.slice(0, i).reduce((a, b) => a + b, 0)
      return [start, start + length]
    }),
  )
  const tokens = { ids, documents }
  const { starts, ...packed } = createBatchPlan({
    ...{ seed: 1, batch: ROWS, context: TIME },
    sources: [{ name: 'examples', weight: 1, tokens }],
  }).at(1)
  const { metrics } = await trained({}, [packed])
  const sums = [0, 0]
  let total = 0
  for (const start of starts) {
    const end = documents[documents.lastIndexOf(start) + 1]!
    const context = end - start - 1
    const alone = { inputs: ids.slice(start, end - 1), targets: ids.slice(start + 1, end) }
    const single = figures((await trained({ train: { ...train, batch: 1, context } }, [alone])).metrics[0]!)
    for (const i of sums.keys()) sums[i]! += single[i]! * context
    total += context
  }
  expect(new Set(starts).size).toBeGreaterThan(1)
  expectNear(
    figures(metrics[0]!).slice(0, 2),
    sums.map((sum) => sum / total),
    1e-5,
  )
})

it('weighs the teachers of held-out text by the tokens that count, in their first look too', async () => {
  const weighting = { strategy: 'entropy', granularity: 'sequence' }
  const config = runConfig({ train, weighting })
  const reading = { loss: 'assistant', packing: 'documents', template: 'chatml' } as const
  config.corpora = [{ weight: 1, row: {} as Corpus, reading }]
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 8))
  const weightsOf = async (one: TokenBatch) => {
    const starts = Int32Array.from({ length: ROWS }, (_, i) => i * TIME)
    const { inputs, targets } = one
    const figures = await readTeachers(config, [{ inputs, targets, weights: mask, starts }], teachers, [1])
    return figures.teachers.map(({ weight }) => weight)
  }
  const [whole, other] = [await weightsOf(batch(3)), await weightsOf(disturbed(batch(3)))]
  expectNear(other, whole, 1e-6)
  expect(Math.abs(whole[0]! - 0.5)).toBeGreaterThan(1e-4)
})
