import { tf } from '../../tf'
import { image, whole, type Row } from './row'

export const indexing: Row[] = [
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
