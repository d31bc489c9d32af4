import { beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '#contract'
import { checkInt8, startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { createTables, finalLogits, forward } from './forward'
import { products, quantise, quantisedHead, quantisedTensors } from './quantised'
import { initialise, toTensors } from './weights'

const random = createRandom(3, 'quantised.test')
const normal = (size: number) => Float32Array.from({ length: size }, () => random.normal())

const config = {
  family: 'llama',
  ...{ vocab: 50, rows: 64, width: 32, layers: 2, heads: 4, kvHeads: 2, hidden: 48, context: 16 },
  ...{ tied: true, ropeBase: 10000, normEpsilon: 1e-5 },
} as ModelConfig

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

it('products are sums of integers, times the scales of row and column', async () => {
  const [rows, depth, out] = [5, 70, 3]
  const x = normal(rows * depth)
  x.fill(0, depth, 2 * depth)
  x[0] = 1000 // a row with an outlier is not the others' matter
  const weight = { shape: [out, depth], data: normal(out * depth) }
  const { data, scale } = quantise(weight, out)
  const { head, scale: factors } = quantisedHead(weight)
  const product = tf.tidy(() => products(tf.tensor2d(x, [rows, depth]))(head, factors))
  const said = await product.data()
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * depth, (r + 1) * depth)
    const size = Math.max(...row.map(Math.abs))
    for (let o = 0; o < out; o++) {
      let sum = 0
      for (let i = 0; i < depth; i++)
        sum += (size ? Math.round((row[i]! * 127) / size) : 0) * data[i * out + o]!
      // One number of the row may lie so near to a half that it is rounded the other way in f32.
      const step = (127 * scale[o]! * size) / 127
      expect(Math.abs(said[r * out + o]! - (sum * scale[o]! * size) / 127)).toBeLessThan(1e-5 + 1.01 * step)
    }
  }
  tf.dispose([head, factors, product])
})

it('a weight is never further from its multiple than half a scale', () => {
  const weight = { shape: [4, 9], data: normal(36) }
  weight.data.fill(0, 9, 18)
  const { data, scale } = quantise(weight, 4)
  for (let row = 0; row < 4; row++)
    for (let i = 0; i < 9; i++) {
      const apart = Math.abs(data[i * 4 + row]! * scale[row]! - weight.data[row * 9 + i]!)
      expect(apart).toBeLessThanOrEqual(scale[row]! / 2 + 1e-7)
    }
  expect(scale[1]).toBe(0)
})

describe.each([true, false])('a model in 8 bits, head tied: %s', (tied) => {
  const model = { ...config, tied } as ModelConfig
  const tokens = Int32Array.from({ length: 32 }, () => random.integer(config.vocab))
  // Larger than fresh weights are, so that logits differ.
  const weights = () =>
    new Map(
      [...initialise(model, 4)].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((w) => (shape.length > 1 ? 4 * w : w)) },
      ]),
    )

  async function logitsOf(parameters: Map<string, tf.Tensor>, ids: Int32Array): Promise<Float32Array> {
    const tables = createTables(model, 16)
    const logits = tf.tidy(() =>
      finalLogits(forward(model, parameters, tf.tensor2d(ids, [ids.length / 16, 16], 'int32'), tables).final),
    )
    const values = Float32Array.from(await logits.data())
    tables.dispose()
    tf.dispose(logits)
    return values
  }

  it('says nearly what it says in f32', async () => {
    const [exact, small] = [toTensors(weights()), quantisedTensors(model, weights())]
    const [a, b] = [await logitsOf(exact, tokens), await logitsOf(small, tokens)]
    expect(a.length).toBe(32 * config.vocab)
    const square = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0)
    const error = Math.sqrt(square(a.map((value, i) => value - b[i]!)) / square(a))
    expect(error).toBeGreaterThan(1e-4)
    expect(error).toBeLessThan(0.05)
    tf.dispose([...exact.values(), ...small.values()])
  })

  it('says of a sequence the same beside any other, bit for bit', async () => {
    const small = quantisedTensors(model, weights())
    const both = await logitsOf(small, tokens)
    const one = await logitsOf(small, tokens.subarray(16))
    expect(one).toEqual(both.subarray(both.length / 2))
    tf.dispose([...small.values()])
  })
})

it('is refused where nothing multiplies in 8 bits', async () => {
  await checkInt8('onnx')
  await expect(checkInt8('cpu')).rejects.toThrow(
    'teachers: the backend cpu has no products in 8 bits; expected precision: f32',
  )
})
