import { describe, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { rowDot } from './divergence'

const SHAPE: [number, number] = [3, 50]
const draw = (seed: number) => Array.from({ length: SHAPE[0] * SHAPE[1] }, (_, i) => Math.sin(seed * (i + 1)))
const [x, y] = [draw(0.7), draw(1.3)]

describe.each(['onnx', 'cpu'] as const)('products of rows on %s', (backend) => {
  it('are sums over each row, as float64 has them', async () => {
    await startBackend(backend, { threads: 2 })
    const dots = rowDot(tf.tensor2d(x, SHAPE), tf.tensor2d(y, SHAPE))
    expect(dots.shape).toEqual([SHAPE[0], 1])
    for (const [row, dot] of (await dots.data()).entries()) {
      const at = Array.from({ length: SHAPE[1] }, (_, j) => row * SHAPE[1] + j)
      expect(dot).toBeCloseTo(
        at.reduce((sum, i) => sum + x[i]! * y[i]!, 0),
        5,
      )
    }
  })

  it('have the other factor as their gradient', async () => {
    await startBackend(backend, { threads: 2 })
    const weights = tf.tensor2d([1, -2, 3], [3, 1])
    const [a, b] = tf.grads((a, b) =>
      tf.sum<tf.Scalar>(tf.mul(rowDot(a as tf.Tensor2D, b as tf.Tensor2D), weights)),
    )([tf.tensor2d(x, SHAPE), tf.tensor2d(y, SHAPE)])
    const weight = (i: number) => [1, -2, 3][Math.floor(i / SHAPE[1])]!
    for (const [i, g] of (await a!.data()).entries()) expect(g).toBeCloseTo(weight(i) * y[i]!, 5)
    for (const [i, g] of (await b!.data()).entries()) expect(g).toBeCloseTo(weight(i) * x[i]!, 5)
  })
})
