import type { Row } from '../../backend/kernels/cases/row'
import { tf } from '../../backend/tf'
import { layerNorm, rmsNorm, rotate, swish } from '../../model/layers'

const table = (x: tf.Tensor | undefined) => x as tf.Tensor2D
const vector = (x: tf.Tensor | undefined) => x as tf.Tensor1D
const ids = (count: number, rows: number) =>
  tf.tensor1d(
    Array.from({ length: count }, (_, i) => (i * i * 31 + i * 7) % rows),
    'int32',
  )

function rotation(time: number, size: number) {
  const angles = tf.tile(tf.mul(tf.reshape(tf.range(0, time), [time, 1]), 0.1), [1, size]) as tf.Tensor2D
  return { cosine: tf.cos<tf.Tensor2D>(angles), sine: tf.sin<tf.Tensor2D>(angles) }
}

/** Layers as models have them, and shapes that a GPU cuts into tiles: whole ones, and with a rest. */
export const large: Row[] = [
  ['rmsNorm', [[64, 32], [32]], (x, g) => rmsNorm(table(x), vector(g), 1e-5), true],
  ['layerNorm', [[64, 32], [32], [32]], (x, g, b) => layerNorm(table(x), vector(g), vector(b), 1e-5), true],
  ['swish', [[64, 32]], (x) => swish(table(x)), true],
  ['rotate', [[2, 2, 16, 8]], (x) => rotate(x as tf.Tensor4D, rotation(16, 8)), true],
  ...[
    [128, 128, 128],
    [257, 129, 65],
    [1, 512, 256],
    [64, 1, 300],
  ].map(([m, k, n]): Row => {
    const shapes = [
      [m!, k!],
      [k!, n!],
    ]
    return [`matMul of ${m} x ${k} x ${n}`, shapes, (x, y) => tf.matMul(x!, y!), true, [-0.3, 0.3]]
  }),
  [
    'matMul of heads, transposed',
    [
      [2, 3, 65, 32],
      [2, 3, 65, 32],
    ],
    (x, y) => tf.matMul(x!, y!, false, true),
    true,
    [-0.3, 0.3],
  ],
  ['logSoftmax of 9 x 50280', [[9, 50280]], (x) => tf.logSoftmax(x!)],
  ['softmax of 300 x 1000', [[300, 1000]], (x) => tf.softmax(x!), true],
  ['sum of 100,000', [[100_000]], (x) => tf.mean(x!), true],
  ['sum of columns', [[1500, 33]], (x) => tf.mean(x!, 0), true],
  ['gather of 512 rows, with its gradient', [[300, 40]], (x) => tf.gather(x!, ids(512, 300)), true],
  [
    'tensorScatterUpdate of 500,000',
    [[500_000]],
    (x) =>
      tf.tensorScatterUpdate(
        x!,
        tf.tensor2d([[0], [65_536], [499_999]], undefined, 'int32'),
        vector(tf.tensor1d([1, 2, 3])),
      ),
  ],
]
