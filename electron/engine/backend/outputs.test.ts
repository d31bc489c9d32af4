import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '.'
import type { LazyBackend } from './lazyBackend'
import { tf } from './tf'

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

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

describe('memory of outputs', () => {
  it('is used in turn by a weight that is given anew each step', async () => {
    const weight = tf.variable(tf.ones([64]))
    await halve(weight)
    const seen = new Set<unknown>()
    for (let i = 0; i < 10; i++) {
      await halve(weight)
      seen.add(dataOf(weight))
    }
    expect(seen.size).toBe(2)
    expect(Array.from(await weight.data()).every((value) => value === 2 ** -11)).toBe(true)
    weight.dispose()
  })

  it('is never written again once somebody has read it', async () => {
    const weight = tf.variable(tf.ones([64]))
    const read: { sum: Float32Array; weight: Float32Array }[] = []
    for (let i = 0; i < 6; i++) {
      const sum = await halve(weight)
      read.push({ sum, weight: (await weight.data()) as Float32Array })
    }
    for (const [i, { sum, weight }] of read.entries()) {
      expect(sum[0]).toBe(64 * 2 ** -(i + 1))
      expect(weight[63]).toBe(2 ** -(i + 1))
    }
    weight.dispose()
  })

  it('is not taken from a value that a graph still to be computed reads', async () => {
    const before = tf.tidy(() => tf.mul(tf.ones([64]), 3))
    await (tf.backend() as LazyBackend).flush()
    const pending = tf.tidy(() => tf.add(before, 1))
    // Nobody else holds it any more; what comes next wants memory of the same size.
    before.dispose()
    const other = tf.tidy(() => tf.mul(tf.ones([64]), 7))
    expect((await other.data())[0]).toBe(7)
    expect((await pending.data())[0]).toBe(4)
    tf.dispose([pending, other])
  })

  it('is not taken from a value that another one shows under another shape', async () => {
    const row = tf.tidy(() => tf.mul(tf.ones([64]), 3))
    await (tf.backend() as LazyBackend).flush()
    const column = tf.reshape(row, [64, 1])
    row.dispose()
    const others: tf.Tensor[] = []
    for (const factor of [7, 8]) {
      others.push(tf.tidy(() => tf.mul(tf.ones([64]), factor)))
      await (tf.backend() as LazyBackend).flush()
    }
    expect((await column.data())[0]).toBe(3)
    tf.dispose([column, ...others])
  })

  it('keeps types and shapes apart', async () => {
    const make = () =>
      tf.tidy(() => [tf.mul(tf.ones([6]), 2), tf.cast(tf.ones([6]), 'int32'), tf.greater(tf.ones([2, 3]), 0)])
    for (let i = 0; i < 3; i++) {
      const [real, whole, truth] = make() as [tf.Tensor, tf.Tensor, tf.Tensor]
      await (tf.backend() as LazyBackend).flush()
      expect(dataOf(real)).toBeInstanceOf(Float32Array)
      expect(dataOf(whole)).toBeInstanceOf(Int32Array)
      expect(dataOf(truth)).toBeInstanceOf(Uint8Array)
      tf.dispose([real, whole, truth])
    }
  })
})
