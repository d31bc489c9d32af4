import { tf } from '../../tf'
import { image, type Row } from './row'

const filter = (x: tf.Tensor) => x as tf.Tensor4D

export const convolutions: Row[] = [
  [
    'conv1d',
    [
      [2, 7, 3],
      [3, 3, 4],
    ],
    (x, w) => tf.conv1d(x as tf.Tensor3D, w as tf.Tensor3D, 2, 'same'),
    true,
  ],
  [
    'conv2d',
    [
      [2, 5, 6, 2],
      [3, 2, 2, 3],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), 1, 'same'),
    true,
  ],
  [
    'conv2d with strides that leave a rest',
    [
      [1, 6, 7, 2],
      [3, 3, 2, 2],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), [2, 3], 'valid'),
    true,
  ],
  [
    'conv2d with padding by number',
    [
      [1, 5, 5, 1],
      [3, 3, 1, 2],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), 2, 1),
    true,
  ],
  [
    'conv2d with holes',
    [
      [1, 7, 7, 1],
      [3, 3, 1, 2],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), 1, 'same', 'NHWC', 2),
  ],
  [
    'conv2d, channels first',
    [
      [1, 2, 5, 4],
      [2, 2, 2, 3],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), 1, 'valid', 'NCHW'),
  ],
  [
    'conv2d of one element',
    [
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ],
    (x, w) => tf.conv2d(image(x!), filter(w!), 1, 'same'),
    true,
  ],
  [
    'conv2dTranspose',
    [
      [1, 3, 4, 3],
      [2, 3, 2, 3],
    ],
    (x, w) => tf.conv2dTranspose(image(x!), filter(w!), [1, 6, 8, 2], 2, 'same'),
    true,
  ],
  [
    'conv3d',
    [
      [1, 3, 4, 4, 2],
      [2, 2, 2, 2, 3],
    ],
    (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 1, 'same'),
    true,
  ],
  [
    'depthwiseConv2d',
    [
      [2, 5, 5, 3],
      [3, 2, 3, 2],
    ],
    (x, w) => tf.depthwiseConv2d(image(x!), filter(w!), 2, 'same'),
    true,
  ],
  [
    'depthwiseConv2d with holes',
    [
      [1, 6, 6, 2],
      [2, 2, 2, 1],
    ],
    (x, w) => tf.depthwiseConv2d(image(x!), filter(w!), 1, 'valid', 'NHWC', 2),
  ],
  [
    'separableConv2d',
    [
      [1, 4, 4, 2],
      [2, 2, 2, 2],
      [1, 1, 4, 3],
    ],
    (x, d, p) => tf.separableConv2d(image(x!), filter(d!), filter(p!), 1, 'same'),
    true,
  ],
  [
    'fused conv2d',
    [[1, 4, 4, 2], [2, 2, 2, 3], [3]],
    (x, w, b) =>
      tf.fused.conv2d({
        x: image(x!),
        filter: filter(w!),
        strides: 1,
        pad: 'same',
        bias: b!,
        activation: 'relu6',
      }),
  ],
  [
    'fused depthwise conv2d',
    [[1, 4, 4, 2], [2, 2, 2, 1], [2]],
    (x, w, b) =>
      tf.fused.depthwiseConv2d({
        x: image(x!),
        filter: filter(w!),
        strides: 1,
        pad: 'same',
        bias: b!,
        activation: 'leakyrelu',
        leakyreluAlpha: 0.1,
      }),
  ],
  [
    'fused matMul',
    [[2, 3], [3, 4], [4]],
    (a, b, bias) => tf.fused.matMul({ a: a!, b: b!, bias: bias!, activation: 'elu' }),
    true,
  ],
  ['maxPool', [[2, 5, 6, 2]], (x) => tf.maxPool(image(x!), 3, 2, 'same'), true],
  ['maxPool with overlap', [[1, 6, 6, 2]], (x) => tf.maxPool(image(x!), [3, 2], 1, 'valid'), true],
  ['avgPool', [[2, 6, 6, 2]], (x) => tf.avgPool(image(x!), 2, 2, 'valid'), true],
  ['avgPool over a border', [[1, 5, 5, 1]], (x) => tf.avgPool(image(x!), 3, 2, 'same')],
  ['avgPool with overlap', [[1, 5, 6, 2]], (x) => tf.avgPool(image(x!), 3, 1, 'valid'), true],
  ['maxPool3d', [[1, 4, 4, 3, 2]], (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'same'), true],
  ['avgPool3d', [[1, 4, 4, 4, 2]], (x) => tf.avgPool3d(x as tf.Tensor5D, 2, 2, 'valid'), true],
]

/** (The cpu backend takes height for width in the gradient of resizeBilinear, so those images are square.) */
export const images: Row[] = [
  ['resizeBilinear up', [[2, 4, 4, 2]], (x) => tf.image.resizeBilinear(image(x!), [5, 7]), true],
  ['resizeBilinear down', [[1, 6, 6, 2]], (x) => tf.image.resizeBilinear(image(x!), [3, 2]), true],
  [
    'resizeBilinear with corners',
    [[1, 4, 4, 1]],
    (x) => tf.image.resizeBilinear(image(x!), [6, 5], true),
    true,
  ],
  [
    'resizeBilinear by pixel centres',
    [[1, 3, 4, 1]],
    (x) => tf.image.resizeBilinear(image(x!), [6, 7], false, true),
  ],
  ['resizeNearestNeighbor', [[1, 3, 4, 2]], (x) => tf.image.resizeNearestNeighbor(image(x!), [6, 8]), true],
  [
    'resizeNearestNeighbor by pixel centres',
    [[1, 4, 4, 1]],
    (x) => tf.image.resizeNearestNeighbor(image(x!), [3, 7], false, true),
  ],
  [
    'batchNorm',
    [[2, 3, 3, 2], [2], [2], [2]],
    (x, m, o, s) =>
      tf.batchNorm(
        x!,
        m as tf.Tensor1D,
        tf.add(tf.abs(m!), 0.5) as tf.Tensor1D,
        o as tf.Tensor1D,
        s as tf.Tensor1D,
      ),
    true,
  ],
  [
    'localResponseNormalization',
    [[1, 2, 2, 6]],
    (x) => tf.localResponseNormalization(image(x!), 2, 1.5, 0.7, 0.6),
    true,
  ],
]
