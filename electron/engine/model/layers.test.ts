import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { causalAttention } from './attention'
import { layerNorm, rmsNorm, rotate, swiglu, swish } from './layers'

/**
 * Every fused layer against the same mathematics in plain float64 loops: its value, and its gradient against central
 * differences of that reference. On the onnx backend (one operator forward) and on tfjs's cpu (plain operations).
 */

interface Array64 {
  shape: number[]
  data: Float64Array
}

const random = createRandom(1, 'layers.test')

function draw(...shape: number[]): Array64 {
  const size = shape.reduce((a, b) => a * b)
  return { shape, data: Float64Array.from({ length: size }, () => random.normal()) }
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Rows of the last axis, each normalised by `scale` of itself. */
function normalised({ shape, data }: Array64, f: (row: Float64Array) => (x: number, i: number) => number) {
  const width = shape.at(-1)!
  const rows = Array.from({ length: data.length / width }, (_, i) =>
    data.subarray(i * width, (i + 1) * width),
  )
  return rows.flatMap((row) => Array.from(row, f(row)))
}

const mean = (x: Float64Array) => x.reduce((a, b) => a + b, 0) / x.length

/** q [B, H, T, D], k and v [B, KV, T, D]; causal. */
function plainAttention([q, k, v]: Array64[]): number[] {
  const [batch, heads, time, size] = q!.shape as [number, number, number, number]
  const kvHeads = k!.shape[1]!
  const out: number[] = []
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const own = (b * heads + h) * time * size
      const shared = (b * kvHeads + Math.floor(h / (heads / kvHeads))) * time * size
      for (let t = 0; t < time; t++) {
        const weights = Array.from({ length: t + 1 }, (_, s) => {
          let dot = 0
          for (let i = 0; i < size; i++) dot += q!.data[own + t * size + i]! * k!.data[shared + s * size + i]!
          return Math.exp(dot)
        })
        const sum = weights.reduce((a, b) => a + b)
        for (let i = 0; i < size; i++)
          out.push(weights.reduce((a, w, s) => a + (w / sum) * v!.data[shared + s * size + i]!, 0))
      }
    }
  }
  return out
}

const [TIME, SIZE] = [5, 4]
const angle = (t: number, i: number) => t / (1 + (i % (SIZE / 2)))
const table = (f: (x: number) => number) =>
  Array.from({ length: TIME * SIZE }, (_, at) => f(angle(Math.floor(at / SIZE), at % SIZE)))

function plainRotate([x]: Array64[]): number[] {
  return Array.from(x!.data, (value, at) => {
    const i = at % SIZE
    const a = angle(Math.floor(at / SIZE) % TIME, i)
    const other = i < SIZE / 2 ? -x!.data[at + SIZE / 2]! : x!.data[at - SIZE / 2]!
    return value * Math.cos(a) + other * Math.sin(a)
  })
}

const EPSILON = 1e-3
const causal = () =>
  tf.tensor2d(
    Array.from({ length: TIME * TIME }, (_, i) => (i % TIME > Math.floor(i / TIME) ? -1e9 : 0)),
    [TIME, TIME],
  )

type Layer = (...x: tf.Tensor[]) => tf.Tensor
const layers: [string, Layer, (x: Array64[]) => number[], Array64[]][] = [
  [
    'rmsNorm',
    (x, g) => rmsNorm(x as tf.Tensor2D, g as tf.Tensor1D, EPSILON),
    ([x, g]) =>
      normalised(x!, (row) => {
        const scale = Math.sqrt(mean(row.map((v) => v * v)) + EPSILON)
        return (v, i) => (v / scale) * g!.data[i]!
      }),
    [draw(3, 6), draw(6)],
  ],
  [
    'layerNorm',
    (x, g, b) => layerNorm(x as tf.Tensor2D, g as tf.Tensor1D, b as tf.Tensor1D, EPSILON),
    ([x, g, b]) =>
      normalised(x!, (row) => {
        const middle = mean(row)
        const scale = Math.sqrt(mean(row.map((v) => (v - middle) ** 2)) + EPSILON)
        return (v, i) => ((v - middle) / scale) * g!.data[i]! + b!.data[i]!
      }),
    [draw(3, 6), draw(6), draw(6)],
  ],
  [
    'swish',
    (x) => swish(x as tf.Tensor2D),
    ([x]) => Array.from(x!.data, (v) => v * sigmoid(v)),
    [draw(3, 5)],
  ],
  [
    'swiglu',
    (a, b) => swiglu(a as tf.Tensor2D, b as tf.Tensor2D),
    ([a, b]) => Array.from(a!.data, (v, i) => v * sigmoid(v) * b!.data[i]!),
    [draw(3, 5), draw(3, 5)],
  ],
  [
    'rotate',
    (x) =>
      rotate(x as tf.Tensor4D, {
        cosine: tf.tensor2d(table(Math.cos), [TIME, SIZE]),
        sine: tf.tensor2d(table(Math.sin), [TIME, SIZE]),
      }),
    plainRotate,
    [draw(2, 3, TIME, SIZE)],
  ],
  [
    'attention, each head its own keys',
    (q, k, v) => causalAttention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, causal()),
    plainAttention,
    [draw(2, 2, TIME, SIZE), draw(2, 2, TIME, SIZE), draw(2, 2, TIME, SIZE)],
  ],
  [
    'attention, heads sharing keys',
    (q, k, v) => causalAttention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, causal()),
    plainAttention,
    [draw(2, 6, TIME, SIZE), draw(2, 2, TIME, SIZE), draw(2, 2, TIME, SIZE)],
  ],
]

/** Central differences of sum(weights * reference(inputs)). */
function differences(
  reference: (x: Array64[]) => number[],
  inputs: Array64[],
  weights: number[],
): number[][] {
  const step = 1e-5
  const total = () => reference(inputs).reduce((sum, y, i) => sum + y * weights[i]!, 0)
  return inputs.map(({ data }) =>
    Array.from(data, (value, i) => {
      data[i] = value + step
      const above = total()
      data[i] = value - step
      const below = total()
      data[i] = value
      return (above - below) / (2 * step)
    }),
  )
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  const largest = Math.max(1, ...expected.map(Math.abs))
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i]! - value)).toBeLessThan(tolerance * largest)
}

describe.each(['onnx', 'cpu'] as const)('on %s', (backend) => {
  beforeAll(async () => {
    await startBackend(backend, { threads: 1 })
  })

  it.each(layers)(
    '%s has the value and the gradient of its formula',
    async (_name, layer, reference, inputs) => {
      const tensors = () => inputs.map(({ shape, data }) => tf.tensor(Float32Array.from(data), shape))
      const y = layer(...tensors())
      expectClose(await y.data(), reference(inputs), 1e-5)
      const weights = Array.from({ length: y.size }, () => random.normal())
      const grads = tf.grads((...x) => tf.sum(tf.mul(layer(...x), tf.tensor(weights, y.shape))))(tensors())
      for (const [i, expected] of differences(reference, inputs, weights).entries()) {
        expect(grads[i]!.shape).toEqual(inputs[i]!.shape)
        expectClose(await grads[i]!.data(), expected, 2e-5)
      }
    },
  )

  it('attention over several blocks of queries, the last a longer one, is attention over all at once', async () => {
    const time = 300
    const [q, k, v, weights] = [2, 1, 1, 2].map((heads) => {
      const { shape, data } = draw(1, heads, time, 4)
      return tf.tensor<tf.Rank.R4>(Float32Array.from(data), shape as [number, number, number, number])
    })
    const mask = tf.tensor2d(
      Float32Array.from({ length: time * time }, (_, i) => (i % time > i / time ? -1e9 : 0)),
      [time, time],
    )
    const whole = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
      const scores = tf.add(tf.matMul(q, tf.tile(k, [1, 2, 1, 1]), false, true), mask)
      return tf.matMul(tf.softmax(scores), tf.tile(v, [1, 2, 1, 1]))
    }
    const blocks = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      causalAttention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, mask)
    const all = async (f: typeof whole) => {
      const gradients = tf.grads((...x) => tf.sum(tf.mul(f(x[0]!, x[1]!, x[2]!), weights!)))([q!, k!, v!])
      return Promise.all([f(q!, k!, v!), ...gradients].map(async (tensor) => Array.from(await tensor.data())))
    }
    const expected = await all(whole)
    for (const [i, actual] of (await all(blocks)).entries()) expectClose(actual, expected[i]!, 2e-6)
  })
})
