import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { chunkedLoss, chunksOf, type Chunk } from './chunks'
import { mixedLoss } from './losses'

const [SEQUENCES, TIME, WIDTH, VOCAB] = [4, 3, 5, 7]
const TOKENS = SEQUENCES * TIME
const random = createRandom(1, 'chunks.test')
const normal = (size: number) => Float32Array.from({ length: size }, () => random.normal())

describe('chunks', () => {
  it.each([
    [16, 128, 2048, 4],
    [8, 256, 4096, 8],
    [6, 10, 100, 3],
    [7, 10, 100, 7],
    [2, 10, 100, 1],
    // Parts of a sequence, of 128 tokens and more.
    [8, 256, 50280, 16],
    [2, 1000, 50280, 10],
    [3, 640, 4096, 12],
  ])(
    'of %i sequences of %i tokens, vocabulary %i: %i, equal and without gaps',
    (sequences, time, vocab, count) => {
      const logits = vocab === 100 ? 2000 : undefined
      const chunks = chunksOf(sequences, time, vocab, { logits })
      expect(chunks.length).toBe(count)
      expect(new Set(chunks.map(({ size }) => size)).size).toBe(1)
      let next = 0
      for (const { from, size } of chunks) {
        expect(from).toBe(next)
        expect(size % time === 0 || time % size === 0).toBe(true)
        next += size
      }
      expect(next).toBe(sequences * time)
    },
  )
})

it('whole sequences stay whole, however many logits they have', () => {
  expect(chunksOf(8, 256, 50280, { whole: true }).map(({ size }) => size)).toEqual(Array(8).fill(256))
})

it('tables of one chunk after the other exist at a time', async () => {
  await startBackend('onnx', { threads: 1 })
  const [tokens, vocab, width] = [2048, 16384, 4]
  const chunks = chunksOf(1, tokens, vocab)
  const tableMb = (chunks[0]!.size * vocab * 4) / 2 ** 20
  const peakMb = () => process.resourceUsage().maxRSS / 1024
  const before = peakMb()
  const [hidden, head] = [
    tf.tensor2d(normal(tokens * width), [tokens, width]),
    tf.tensor2d(normal(vocab * width), [vocab, width]),
  ]
  const labels = tf.range(0, chunks[0]!.size, 1, 'int32')
  const result = tf.tidy(() => {
    const target = tf.softmax(
      tf.matMul<tf.Tensor2D>(tf.slice(hidden, [0, 0], [chunks[0]!.size, -1]), head, false, true),
    )
    const { value, grads } = tf.valueAndGrads(
      (h, w) =>
        chunkedLoss(h as tf.Tensor2D, w as tf.Tensor2D, chunks, (logits) =>
          mixedLoss(logits, labels, target, tf.scalar(0), { lambda: 0.5, tau: 2 }),
        ).loss,
    )([hidden, head])
    return tf.stack([value, ...grads.map((grad) => tf.sum(grad))])
  })
  await result.data()
  expect([chunks.length, tableMb]).toEqual([16, 8])
  // About eight tables of one chunk; three of each at least would be 384 MB.
  expect(peakMb() - before).toBeLessThan(200)
})

describe.each(['onnx', 'cpu'] as const)('the loss in chunks on %s', (backend) => {
  beforeAll(async () => {
    await startBackend(backend, { threads: 1 })
  })

  const hidden = normal(TOKENS * WIDTH)
  const head = normal(VOCAB * WIDTH)
  const labels = Int32Array.from({ length: TOKENS }, () => random.integer(VOCAB))
  const scores = normal(TOKENS * VOCAB)

  /** Loss, its parts and the gradients by hidden states and head; the head also makes the hidden states, as if tied. */
  async function evaluate(chunks: Chunk[], tau: number) {
    const targets = chunks.map(({ from, size }) =>
      tf.softmax(tf.tensor2d(scores.subarray(from * VOCAB, (from + size) * VOCAB), [size, VOCAB])),
    )
    const next = chunks.map(({ from, size }) => tf.tensor1d(labels.subarray(from, from + size), 'int32'))
    const parts: tf.Tensor[] = []
    const { value, grads } = tf.valueAndGrads((h, w) => {
      const tied = tf.add<tf.Tensor2D>(h, tf.mean(w, 0))
      const { loss, kd, ce } = chunkedLoss(tied, w as tf.Tensor2D, chunks, (logits, i) =>
        mixedLoss(logits, next[i]!, targets[i]!, tf.scalar(0), { lambda: 0.6, tau }),
      )
      parts.push(tf.keep(tf.clone(kd!)), tf.keep(tf.clone(ce)))
      return loss
    })([tf.tensor2d(hidden, [TOKENS, WIDTH]), tf.tensor2d(head, [VOCAB, WIDTH])])
    const all = [value, ...parts, ...grads]
    return Promise.all(all.map(async (t) => Array.from(await t.data())))
  }

  it.each([1, 2])('is that of all tokens at once, at tau %d', async (tau) => {
    const whole = await evaluate([{ from: 0, size: TOKENS }], tau)
    const chunked = await evaluate(chunksOf(SEQUENCES, TIME, VOCAB, { logits: TIME * VOCAB }), tau)
    for (const [i, values] of whole.entries())
      for (const [j, value] of values.entries()) expect(chunked[i]![j]).toBeCloseTo(value, 5)
  })

  it('has the gradient of differences in float64', async () => {
    const reference = () => {
      let sum = 0
      for (let t = 0; t < TOKENS; t++) {
        const row = (table: Float32Array | Float64Array, width: number, i: number) =>
          table.subarray(i * width, (i + 1) * width)
        const logP = (z: number[]) => {
          const log = Math.log(z.reduce((a, b) => a + Math.exp(b), 0))
          return z.map((x) => x - log)
        }
        const tied = Array.from(row(hidden, WIDTH, t), (h, i) => {
          let mean = 0
          for (let v = 0; v < VOCAB; v++) mean += w[v * WIDTH + i]! / VOCAB
          return h + mean
        })
        const z = Array.from({ length: VOCAB }, (_, v) =>
          tied.reduce((dot, h, i) => dot + h * w[v * WIDTH + i]!, 0),
        )
        const q = logP(z)
        const p = logP(Array.from(row(scores, VOCAB, t)))
        const kd = -p.reduce((a, l, v) => a + Math.exp(l) * q[v]!, 0)
        sum += 0.6 * kd - 0.4 * q[labels[t]!]!
      }
      return sum / TOKENS
    }
    const w = Float64Array.from(head)
    const actual = await evaluate(chunksOf(SEQUENCES, TIME, VOCAB, { logits: 2 * TIME * VOCAB }), 1)
    expect(actual[0]![0]).toBeCloseTo(reference(), 5)
    for (const i of w.keys()) {
      const [value, step] = [w[i]!, 1e-5]
      w[i] = value + step
      const above = reference()
      w[i] = value - step
      const below = reference()
      w[i] = value
      expect(actual[4]![i]).toBeCloseTo((above - below) / (2 * step), 5)
    }
  })
})
