import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '.'
import { tf } from './tf'

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

const [ROWS, WIDTH] = [7, 3]
const ids = [2, 5, 2, 0, 2]
const numbers = (size: number, seed: number) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(i + seed))
const table = numbers(ROWS * WIDTH, 1)
const updates = numbers(ids.length * WIDTH, 2)

/** `start` with the updates added, in order, as float32 numbers. */
function expected(start: Float32Array): number[] {
  const sum = Float32Array.from(start)
  for (const [i, id] of ids.entries())
    for (let j = 0; j < WIDTH; j++) sum[id * WIDTH + j]! += updates[i * WIDTH + j]!
  return Array.from(sum)
}

/** Rows that are computed, added to nothing. */
function rows(): tf.Tensor2D {
  const given = tf.neg(
    tf.tensor2d(
      updates.map((x) => -x),
      [ids.length, WIDTH],
    ),
  )
  return tf.unsortedSegmentSum(given, tf.tensor1d(ids, 'int32'), ROWS)
}

const computedTable = () =>
  tf.neg(
    tf.tensor2d(
      table.map((x) => -x),
      [ROWS, WIDTH],
    ),
  )

async function valuesOf(tensor: tf.Tensor): Promise<number[]> {
  return Array.from(await tensor.data())
}

describe('a sum of rows', () => {
  it('is added to zeros, or to a table on either side', async () => {
    expect(await valuesOf(tf.tidy(rows))).toEqual(expected(new Float32Array(ROWS * WIDTH)))
    expect(await valuesOf(tf.tidy(() => tf.add(computedTable(), rows())))).toEqual(expected(table))
    expect(await valuesOf(tf.tidy(() => tf.add(rows(), computedTable())))).toEqual(expected(table))
  })

  it('leaves a table alone that is asked for too, or was there before', async () => {
    const asked = computedTable()
    const given = tf.tensor2d(table, [ROWS, WIDTH])
    const [first, second] = tf.tidy(() => [tf.add(asked, rows()), tf.add(given, rows())])
    expect(await valuesOf(first!)).toEqual(expected(table))
    expect(await valuesOf(second!)).toEqual(expected(table))
    expect(await valuesOf(asked)).toEqual(Array.from(table))
    expect(await valuesOf(given)).toEqual(Array.from(table))
  })

  it('does not write to an array that a caller has given', async () => {
    const own = table.slice()
    const sum = tf.tidy(() => tf.add(tf.tensor2d(own, [ROWS, WIDTH]), rows()))
    expect(await valuesOf(sum)).toEqual(expected(table))
    expect(own).toEqual(table)
  })

  it('of two that share a table leaves each its own', async () => {
    const [first, second] = tf.tidy(() => {
      const shared = computedTable()
      return [tf.add(shared, rows()), tf.add(rows(), shared)]
    })
    expect(await valuesOf(first!)).toEqual(expected(table))
    expect(await valuesOf(second!)).toEqual(expected(table))
  })

  it('goes on into what is computed of it', async () => {
    const [sum, doubled] = tf.tidy(() => {
      const sum = tf.add(computedTable(), rows())
      return [sum, tf.mul(sum, 2)]
    })
    const close = (actual: number[], of: number[]) => {
      for (const [i, x] of of.entries()) expect(actual[i]).toBeCloseTo(x, 5)
    }
    expect(await valuesOf(sum!)).toEqual(expected(table))
    close(
      await valuesOf(doubled!),
      expected(table).map((x) => 2 * x),
    )
  })

  it('drops rows that lie outside', async () => {
    const sum = tf.unsortedSegmentSum(tf.ones([3, 2]), tf.tensor1d([1, -1, 1], 'int32'), 2)
    expect(await valuesOf(sum)).toEqual([0, 0, 2, 2])
  })

  it('is the gradient of an embedding that is the head too, over steps that take it up', async () => {
    const weight = tf.variable(tf.tensor2d(table, [ROWS, WIDTH]))
    const loss = () => {
      const x = tf.gather(weight, tf.tensor1d(ids, 'int32')) as tf.Tensor2D
      return tf.mean<tf.Scalar>(tf.square(tf.matMul(x, weight as unknown as tf.Tensor2D, false, true)))
    }
    const steps = async () => {
      const seen: number[] = []
      for (let i = 0; i < 3; i++) {
        const gradient = tf.tidy(() => tf.variableGrads(loss, [weight]).grads[weight.name]!)
        seen.push(...(await valuesOf(gradient)))
        weight.assign(tf.tidy(() => tf.sub(weight, tf.mul(gradient, 0.1))))
        gradient.dispose()
      }
      return seen
    }
    const ours = await steps()
    await startBackend('cpu', { threads: 1 })
    weight.assign(tf.tensor2d(table, [ROWS, WIDTH]))
    const theirs = await steps()
    await startBackend('onnx', { threads: 1 })
    for (const [i, x] of theirs.entries()) expect(Math.abs(ours[i]! - x)).toBeLessThan(1e-5)
  })
})
