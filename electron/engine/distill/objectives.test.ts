import { beforeAll, describe, expect, it } from 'vitest'
import { experiment, loss as lossSchema, parse, weighting as weightingSchema } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { chunkedLoss, chunksOf } from './chunks'
// Made by objectives.py beside it, torch 2.15 in float64.
import cases from './fixtures/objectives.json'
import { fuseTeachers, logitLoss } from './objective'
import { drawnWeights } from './weighting'

const [SEQUENCES, TIME, WIDTH, VOCAB, TEACHERS] = [4, 3, 4, 11, 3]
const TOKENS = SEQUENCES * TIME
const ALL = TOKENS * VOCAB

/** Numbers from -1 to 1 in steps of 0.001, by Lehmer's generator. */
function lehmer(seed: number, count: number): number[] {
  return Array.from({ length: count }, () => {
    seed = (seed * 48271) % 2147483647
    return ((seed % 2001) - 1000) / 1000
  })
}
const whole = (seed: number, below: number) =>
  lehmer(seed, TOKENS).map((x) => Math.round((x + 1) * 1000) % below)
const times = (numbers: number[], factor: number) => Float32Array.from(numbers, (x) => x * factor)

const hidden = times(lehmer(1, TOKENS * WIDTH), 2)
const head = times(lehmer(2, VOCAB * WIDTH), 2)
const said = times(lehmer(3, TEACHERS * TOKENS * VOCAB), 4)
const labels = Int32Array.from(whole(4, VOCAB))
const mask = whole(5, 3).map((x) => (x ? 1 : 0))
const counted = mask.filter(Boolean).length
const raw = lehmer(6, TOKENS * TEACHERS).map((x) => x + 1.001)
const random = Float32Array.from(raw, (x, i) => {
  const first = i - (i % TEACHERS)
  return x / raw.slice(first, first + TEACHERS).reduce((a, b) => a + b)
})
const routed = drawnWeights(
  parse(experiment, {
    ...{ name: 'e', student: { width: 8, layers: 1, heads: 1 }, teachers: ['a', 'b', 'c'] },
    corpus: [{ name: 'plays' }, { name: 'web' }, { name: 'code' }],
    weighting: { strategy: 'routed', routes: { plays: 'c', web: 'a', code: 'b' } },
  }),
  { stream: '', tokens: TOKENS, time: TIME, teachers: TEACHERS, corpora: [0, 1, 1, 2] },
)!

type Case = (typeof cases)[number]
const settingsOf = ({ objective, strategy, tau = 1, conflict, fusion, granularity }: Case) => ({
  loss: lossSchema.parse({
    ...{ objective, tau, conflict, lambda: 0.7, beta: 0.3, skew: 0.2, topK: 4, quantile: 0.75 },
    features: false,
  }),
  weighting: weightingSchema.parse({
    ...{ strategy, fusion, granularity, weights: [1, 2, 4], routes: { plays: 'a' }, temperature: 0.5 },
  }),
})

/** Loss, its two parts, and the gradients by hidden states and head. */
async function evaluate(one: Case, logits: number): Promise<number[][]> {
  const { loss, weighting } = settingsOf(one)
  const parts: tf.Tensor[] = []
  const drawn = one.strategy === 'routed' ? routed : random
  const together = weighting.granularity === 'batch' || loss.conflict === 'drop'
  const chunks = chunksOf(SEQUENCES, TIME, VOCAB, { logits: together ? ALL : logits, whole: true })
  const rows = (table: Float32Array, from: number, size: number, columns: number) =>
    tf.tensor2d(table.subarray(from * columns, (from + size) * columns), [size, columns])
  const given = chunks.map(({ from, size }) => {
    const next = tf.tensor1d(labels.subarray(from, from + size), 'int32')
    const weights = one.masked ? rows(times(mask, TOKENS / counted), from, size, 1) : undefined
    const teachers = Array.from({ length: TEACHERS }, (_, k) =>
      rows(said.subarray(k * TOKENS * VOCAB), from, size, VOCAB),
    )
    const target = fuseTeachers(weighting, loss.tau, teachers, size / TIME, {
      ...{ labels: next, weights, conflict: loss, drawn: rows(drawn, from, size, TEACHERS) },
      temperatures: one.strategy === 'calibrated-entropy' ? [0.8, 1.5, 2] : undefined,
    })
    return { next, target, weights }
  })
  const { value, grads } = tf.valueAndGrads((h, w) => {
    const mixed = chunkedLoss(h as tf.Tensor2D, w as tf.Tensor2D, chunks, (z, i) => {
      const { next, target, weights } = given[i]!
      return logitLoss({ loss }, z, next, target, weights)
    })
    parts.push(tf.keep(tf.clone(mixed.kd!)), tf.keep(tf.clone(mixed.ce)))
    return mixed.loss
  })([tf.tensor2d(hidden, [TOKENS, WIDTH]), tf.tensor2d(head, [VOCAB, WIDTH])])
  const numbers = (tensors: tf.Tensor[]) => Promise.all(tensors.map(async (t) => [...(await t.data())]))
  return [(await numbers([value, ...parts])).flat(), ...(await numbers(grads))]
}

/** Within 1e-5 of the largest. */
function expectNear(actual: number[], expected: number[]): void {
  expect(actual).toHaveLength(expected.length)
  const largest = Math.max(...expected.map(Math.abs))
  for (const [i, x] of expected.entries())
    expect(Math.abs(actual[i]! - x), `number ${i}`).toBeLessThanOrEqual(1e-5 * largest)
}

describe('losses and gradients are those of autograd in float64', () => {
  beforeAll(async () => {
    await startBackend('onnx', { threads: 1 })
  })

  it.each(cases)('$objective, weighting $strategy', async (one) => {
    for (const logits of [ALL, 2 * TIME * VOCAB]) {
      const [values, ofHidden, ofHead] = await evaluate(one, logits)
      expectNear(values!, one.values)
      expectNear(ofHidden!, one.hidden)
      expectNear(ofHead!, one.head)
    }
  })
})
