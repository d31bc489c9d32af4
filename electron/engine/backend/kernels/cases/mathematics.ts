import { tf } from '../../tf'
import { integers, whole, type Row } from './row'

export const elementwise: Row[] = [
  ['atan2', [[3, 4], [4]], (a, b) => tf.atan2(a!, b!), true],
  ['atan2 on the axes', [[1]], () => tf.atan2(tf.tensor1d([0, 0, 1, -1, 0]), tf.tensor1d([0, -1, 0, 0, 1]))],
  ['asinh', [[2, 3]], (x) => tf.asinh(x!), true],
  ['acosh', [[2, 3]], (x) => tf.acosh(tf.add(tf.abs(x!), 1.5)), true],
  ['atanh', [[2, 3]], (x) => tf.atanh(tf.mul(x!, 0.4)), true],
  [
    'tan, asin, acos, atan',
    [[5]],
    (x) => tf.addN([tf.tan(x!), tf.asin(tf.mul(x!, 0.4)), tf.acos(tf.mul(x!, 0.4)), tf.atan(x!)]),
    true,
  ],
  ['sinh, cosh', [[5]], (x) => tf.add(tf.sinh(x!), tf.cosh(x!)), true],
  ['selu', [[2, 3]], (x) => tf.selu(x!), true],
  ['leakyRelu', [[2, 3]], (x) => tf.leakyRelu(x!, 0.3), true],
  ['prelu', [[2, 3], [3]], (x, a) => tf.prelu(x!, a!), true],
  ['relu6', [[2, 3]], (x) => tf.relu6(tf.mul(x!, 5)), true],
  [
    'tanh form of gelu',
    [[2, 3]],
    (x) => tf.mul(x!, tf.add(1, tf.tanh(tf.mul(0.79788456, tf.add(x!, tf.mul(0.044715, tf.pow(x!, 3))))))),
    true,
  ],
  ['erf form of gelu', [[2, 3]], (x) => tf.mul(x!, tf.add(1, tf.erf(tf.div(x!, Math.SQRT2)))), true],
  ['mod', [[3, 4], [4]], (a, b) => tf.mod(a!, tf.add(tf.abs(b!), 0.5)), true],
  ['mod of negatives', [[3, 4]], (a) => tf.mod(integers(a!), tf.scalar(-3, 'int32'))],
  ['floorDiv', [[3, 4]], (a) => tf.floorDiv(integers(a!), tf.scalar(2, 'int32'))],
  [
    'sign, ceil, floor, round',
    [[7]],
    (x) => tf.addN([tf.sign(x!), tf.ceil(x!), tf.floor(x!), tf.round(x!)]),
    true,
  ],
  [
    'isNaN, isInf, isFinite',
    [[1]],
    () =>
      tf.stack([tf.isNaN, tf.isInf, tf.isFinite].map((f) => f(tf.tensor1d([NaN, Infinity, -Infinity, 0])))),
  ],
  ['expm1 far from 0 and near', [[1]], () => tf.expm1(tf.tensor1d([-1e4, -200, -1e-6, 1e-6, 20]))],
  ['bitwiseAnd', [[6]], (x) => tf.bitwiseAnd(whole(x!), integers(x!))],
  ['xor', [[6]], (x) => tf.logicalXor(tf.greater(x!, 0), tf.greater(x!, 1))],
  ['where', [[6], [6]], (a, b) => tf.where(tf.tensor1d([1, 0, 0, 1, 0, 1], 'bool'), a!, b!), true],
  [
    'integers',
    [[6]],
    (x) => tf.maximum(tf.mul(integers(x!), integers(x!)), tf.sub(integers(x!), tf.scalar(4, 'int32'))),
  ],
]

export const reductions: Row[] = [
  ['prod', [[2, 3]], (x) => tf.prod(x!, 1), true],
  ['cumprod', [[2, 7]], (x) => tf.cumprod(x!, 1)],
  ['cumprod, exclusive and reversed', [[5, 2]], (x) => tf.cumprod(x!, 0, true, true)],
  ['cumprod of one and of none', [[3, 1]], (x) => tf.cumprod(x!, 1, true)],
  ['logSumExp', [[3, 4]], (x) => tf.logSumExp(x!, 1), true],
  ['moments', [[3, 4]], (x) => tf.moments(x!, [0]).variance, true],
  ['norm', [[3, 4]], (x) => tf.norm(x!, 'euclidean', 1), true],
  ['all, any', [[3, 4]], (x) => tf.stack([tf.all(tf.greater(x!, -1), 1), tf.any(tf.greater(x!, 1), 1)])],
  ['argMin', [[3, 4]], (x) => tf.argMin(x!, 0)],
  ['topk', [[2, 6]], (x) => tf.topk(x!, 3).values],
  [
    'einsum',
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    (a, b) => tf.einsum('bij,bjk->bik', a!, b!),
  ],
  [
    'searchSorted',
    [[2, 3]],
    (x) =>
      tf.searchSorted(
        tf.tensor2d([
          [-2, -1, 0, 1],
          [-1, -1, 1, 2],
        ]),
        tf.cast(integers(x!, 1), 'float32'),
        'right',
      ),
  ],
  [
    'lowerBound',
    [[5]],
    (x) => tf.lowerBound(tf.tensor1d([-2, -1, -1, 0, 1]), tf.cast(integers(x!, 1), 'float32')),
  ],
]
