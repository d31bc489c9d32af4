import { describe, expect, it } from 'vitest'
import { startBackend } from '..'
import { expectRow } from '../expectSame'
import { tf } from '../tf'
import { convolutions, images } from './cases/layers'
import type { Row } from './cases/row'

describe.each([
  ['convolutions and pools', convolutions],
  ['images', images],
] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (...row) => expectRow(row))
})

describe('what libtensorflow does and the cpu backend does not', () => {
  it('gives a mean at a padded border its gradient by the number it was taken of', async () => {
    await startBackend('onnx', { threads: 1 })
    const x = tf.ones<tf.Rank.R4>([1, 3, 3, 1])
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.avgPool(x as tf.Tensor4D, 3, 2, 'same')))(x)
    // Four windows of 2 x 2 elements each: a corner is in one, an edge in two, the middle in all.
    expect(Array.from(await gradient.data())).toEqual([0.25, 0.5, 0.25, 0.5, 1, 0.5, 0.25, 0.5, 0.25])
  })
})
