import { tf } from '../../tf'
import { float, I, int, N } from './edges'

/** Where tfjs itself is wrong: what is computed, and what it gives. */
export const right: [string, () => tf.Tensor, number[]][] = [
  [
    'floorDiv of whole numbers',
    () =>
      tf.floorDiv(
        int([-7, 7, -8, 16777217, 2147483647, 5, -2147483648, 9]),
        int([2, -2, 3, 2, 1, 0, -1, -1]),
      ),
    [-4, -4, -3, 8388608, 2147483647, 0, -2147483648, -9],
  ],
  [
    'mod of whole numbers',
    () => tf.mod(int([-7, 7, 16777217, 2147483647, 5, -2147483648]), int([2, -2, 2, 10, 0, -1])),
    [1, -1, 1, 7, 0, 0],
  ],
  [
    'mod of floats',
    () => tf.mod(float([-7, 7, 5.5, 1, -1.5, 1]), float([2.5, -2.5, I, 0, -1, 3])),
    [0.5, -0.5, 5.5, N, -0.5, 1],
  ],
  ['log1p', () => tf.log1p(float([-I, I, -1, 1e-8, -2])), [N, I, -I, 1e-8, N]],
  [
    'cumsum along axis -2',
    () => tf.cumsum(tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 3, 2]), -2),
    [1, 2, 4, 6, 9, 12],
  ],
  [
    'segments that are negative, within a graph',
    () => tf.neg(tf.unsortedSegmentSum(float([1, 2, 4]), tf.tensor1d([1, -1, 1], 'int32'), 2)),
    [-0, -5],
  ],
  [
    'segments that are computed',
    () =>
      tf.unsortedSegmentSum(
        float([1, 2, 4]),
        tf.sub(tf.tensor1d([2, 0, 2], 'int32'), int([1, 1, 1])) as tf.Tensor1D,
        2,
      ),
    [0, 5],
  ],
  [
    'matMul with both batches broadcast',
    () => tf.matMul(tf.tensor4d([1, 2], [2, 1, 1, 1]), tf.tensor4d([3, 5, 7], [1, 3, 1, 1])),
    [3, 5, 7, 6, 10, 14],
  ],
  ['all of nothing', () => tf.cast(tf.all(tf.zeros([2, 0], 'bool'), 1), 'int32'), [1, 1]],
]
