import { describe, expect, it } from 'vitest'
import { startBackend } from '..'
import { expectSame, tensor, type Row } from '../expectSame'
import { tf } from '../tf'

const integers = (x: tf.Tensor, scale = 3) => tf.cast(tf.round(tf.mul(x, scale)), 'int32')
const whole = (x: tf.Tensor) => tf.abs(integers(x))
const image = (x: tf.Tensor) => x as tf.Tensor4D

const indexing: Row[] = [
  [
    'gather with batch dimensions',
    [[2, 3, 4, 2]],
    (x) =>
      tf.gather(
        x!,
        tf.tensor2d(
          [
            [0, 3, 1],
            [2, 2, 0],
          ],
          undefined,
          'int32',
        ),
        2,
        1,
      ),
  ],
  [
    'gather rows by batch, with its gradient',
    [[2, 4, 3]],
    (x) =>
      tf.gather(
        x!,
        tf.tensor2d(
          [
            [0, 3],
            [2, 2],
          ],
          undefined,
          'int32',
        ),
        1,
        1,
      ),
    true,
  ],
  ['gather along an inner axis', [[2, 4, 3]], (x) => tf.gather(x!, tf.tensor1d([3, 0, 3], 'int32'), 1), true],
  [
    'gatherND',
    [[3, 4]],
    (x) =>
      tf.gatherND(
        x!,
        tf.tensor2d(
          [
            [0, 1],
            [2, 3],
          ],
          undefined,
          'int32',
        ),
      ),
  ],
  ['bincount', [[8]], (x) => tf.bincount(whole(x!) as tf.Tensor1D, tf.tensor1d([]), 4)],
  ['bincount by weight', [[8], [8]], (x, w) => tf.bincount(whole(x!) as tf.Tensor1D, w as tf.Tensor1D, 5)],
  ['denseBincount', [[2, 5]], (x) => tf.denseBincount(whole(x!) as tf.Tensor2D, tf.tensor2d([], [0, 0]), 4)],
  [
    'denseBincount of what is there',
    [[2, 5]],
    (x) => tf.denseBincount(whole(x!) as tf.Tensor2D, tf.tensor2d([], [0, 0]), 4, true),
  ],
  [
    'sparseToDense',
    [[3]],
    (x) =>
      tf.sparseToDense(
        tf.tensor2d(
          [
            [0, 1],
            [1, 0],
            [2, 2],
          ],
          undefined,
          'int32',
        ),
        x!,
        [3, 3],
        tf.scalar(7),
      ),
  ],
  [
    'mirrorPad, reflecting',
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x!,
        [
          [2, 1],
          [0, 3],
        ],
        'reflect',
      ),
  ],
  [
    'mirrorPad, symmetric',
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x!,
        [
          [3, 1],
          [0, 4],
        ],
        'symmetric',
      ),
  ],
  ['diag', [[4]], (x) => tf.diag(x!)],
  [
    'batchToSpace',
    [[4, 2, 3, 1]],
    (x) =>
      tf.batchToSpaceND(
        x!,
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    true,
  ],
  [
    'spaceToBatch',
    [[1, 3, 5, 2]],
    (x) =>
      tf.spaceToBatchND(
        x!,
        [2, 2],
        [
          [1, 0],
          [0, 1],
        ],
      ),
    true,
  ],
  ['depthToSpace', [[1, 2, 3, 8]], (x) => tf.depthToSpace(image(x!), 2)],
  ['reverse, roll of words', [[2, 5]], (x) => tf.concat([tf.reverse(x!, 1), tf.slice(x!, [0, 2])], 1), true],
]

describe.each([['indices', indexing]] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (_name, shapes, op, gradient = false) => {
    await expectSame(
      shapes.map((shape) => tensor(shape)),
      op,
      gradient,
    )
  })
})

it('adds to rows that are named many times in the same order every time, whatever the threads', async () => {
  await startBackend('onnx', { threads: 2 })
  const [count, width, rows] = [4096, 96, 20]
  const ids = Int32Array.from({ length: count }, (_, i) => (i * i * 31 + i * 7) % rows)
  const updates = Float32Array.from({ length: count * width }, (_, i) => Math.sin(i * 0.37))
  const expected = new Float32Array(rows * width)
  for (const [i, update] of updates.entries()) {
    const at = ids[Math.floor(i / width)]! * width + (i % width)
    expected[at] = Math.fround(expected[at]! + update)
  }
  const [x, segments] = [tf.tensor2d(updates, [count, width]), tf.tensor1d(ids, 'int32')]
  for (let i = 0; i < 40; i++) {
    const sum = tf.unsortedSegmentSum(x, segments, rows)
    expect(Buffer.from((await sum.data()).buffer).equals(Buffer.from(expected.buffer))).toBe(true)
    sum.dispose()
  }
})
