import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '.'
import type { LazyBackend } from './lazyBackend'
import { tf } from './tf'

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

/** Enough elements to be worth it. */
const LARGE = 4096

/** A weight that halves with every step, and what is read of it. */
async function halve(weight: tf.Variable): Promise<Float32Array> {
  const read = tf.tidy(() => {
    weight.assign(tf.mul(weight, 0.5))
    return tf.sum(weight)
  })
  const values = (await read.data()) as Float32Array
  read.dispose()
  return values
}

const dataOf = (tensor: tf.Tensor) => (tf.backend() as LazyBackend).value(tensor).data!

const flush = () => (tf.backend() as LazyBackend).flush()

describe('memory of outputs', () => {
  it('is given back when a weight is given anew', async () => {
    const weight = tf.variable(tf.ones([LARGE]))
    await halve(weight)
    const before: Float32Array[] = []
    for (let i = 0; i < 10; i++) {
      before.push(dataOf(weight) as Float32Array)
      await halve(weight)
    }
    await flush()
    expect(before.slice(0, -1).map((data) => data.byteLength)).toEqual(Array(9).fill(0))
    expect(Array.from(await weight.data()).every((value) => value === 2 ** -11)).toBe(true)
    weight.dispose()
  })

  it('is not given back once somebody has read it', async () => {
    const weight = tf.variable(tf.ones([LARGE]))
    const read: { sum: Float32Array; weight: Float32Array }[] = []
    for (let i = 0; i < 6; i++) {
      const sum = await halve(weight)
      read.push({ sum, weight: (await weight.data()) as Float32Array })
    }
    for (const [i, { sum, weight }] of read.entries()) {
      expect(sum[0]).toBe(LARGE * 2 ** -(i + 1))
      expect(weight.at(-1)).toBe(2 ** -(i + 1))
    }
    weight.dispose()
  })

  it('is not taken from a value that a graph still to be computed reads', async () => {
    const before = tf.tidy(() => tf.mul(tf.ones([LARGE]), 3))
    await flush()
    const pending = tf.tidy(() => tf.add(before, 1))
    // Nobody else holds it any more; what comes next wants memory of the same size.
    before.dispose()
    const other = tf.tidy(() => tf.mul(tf.ones([LARGE]), 7))
    expect((await other.data())[0]).toBe(7)
    expect((await pending.data())[0]).toBe(4)
    tf.dispose([pending, other])
  })

  it('is not taken from a value that another one shows under another shape', async () => {
    const row = tf.tidy(() => tf.mul(tf.ones([LARGE]), 3))
    await flush()
    const column = tf.reshape(row, [LARGE, 1])
    row.dispose()
    const others: tf.Tensor[] = []
    for (const factor of [7, 8]) {
      others.push(tf.tidy(() => tf.mul(tf.ones([LARGE]), factor)))
      await flush()
    }
    expect((await column.data())[0]).toBe(3)
    tf.dispose([column, ...others])
  })

  it('does not count as external memory of the heap any more', async () => {
    const weight = tf.variable(tf.ones([1 << 20]))
    await halve(weight)
    const { arrayBuffers } = process.memoryUsage()
    for (let i = 0; i < 12; i++) await halve(weight)
    // Without it: 12 x 4 MiB, less what the collector happens to find.
    expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(2 * 4 * 2 ** 20)
    weight.dispose()
  })
})
