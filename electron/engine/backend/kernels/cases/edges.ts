import { tf } from '../../tf'

/**
 * Inputs at the edges: broadcasting both ways, up to six axes, none, axes of length 0, negative axes, whole numbers
 * beyond float32's, NaN, infinities and -0. What the onnx backend gives is what tfjs's cpu backend gives; where that
 * one is known to be wrong, the right result is written down.
 */

export type Case = [string, () => tf.Tensor | tf.Tensor[]]

export const [N, I] = [NaN, Infinity]
const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1)
export const float = (values: number[] | number[][], shape?: number[]) => tf.tensor(values, shape)
export const int = (values: number[] | number[][], shape?: number[]) => tf.tensor(values, shape, 'int32')
const bool = (values: number[], shape?: number[]) => tf.tensor(values, shape, 'bool')
const wave = (...shape: number[]) =>
  tf.tensor(
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.7) * 2),
    shape,
  )
const empty = (...shape: number[]) => tf.zeros(shape)
const special = () => float([N, I, -I, 0, -0, 1.5, -2.5, 0.5, 2.5, -1e-8])

type Unary = (x: tf.Tensor) => tf.Tensor
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor
type Reduction = (x: tf.Tensor, axis?: number | number[], keepDims?: boolean) => tf.Tensor

const unary: Record<string, Unary> = {
  ...{
    abs: tf.abs,
    ceil: tf.ceil,
    floor: tf.floor,
    round: tf.round,
    neg: tf.neg,
    relu: tf.relu,
    relu6: tf.relu6,
  },
  ...{ elu: tf.elu, selu: tf.selu, sigmoid: tf.sigmoid, softplus: tf.softplus, tanh: tf.tanh, exp: tf.exp },
  ...{ expm1: tf.expm1, log: tf.log, sqrt: tf.sqrt, rsqrt: tf.rsqrt, square: tf.square, erf: tf.erf },
  ...{ reciprocal: tf.reciprocal, sin: tf.sin, cos: tf.cos, tan: tf.tan, asin: tf.asin, acos: tf.acos },
  ...{ atan: tf.atan, sinh: tf.sinh, cosh: tf.cosh, asinh: tf.asinh, acosh: tf.acosh, atanh: tf.atanh },
  ...{ isNaN: tf.isNaN, isInf: tf.isInf, isFinite: tf.isFinite, leakyRelu: tf.leakyRelu, step: tf.step },
}
const arithmetic: Record<string, Binary> = {
  ...{
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    div: tf.div,
    divNoNan: tf.divNoNan,
    pow: tf.pow,
    atan2: tf.atan2,
  },
  ...{ squaredDifference: tf.squaredDifference },
}
const comparisons: Record<string, Binary> = {
  ...{ maximum: tf.maximum, minimum: tf.minimum, equal: tf.equal, notEqual: tf.notEqual, less: tf.less },
  ...{ lessEqual: tf.lessEqual, greater: tf.greater, greaterEqual: tf.greaterEqual },
}
const reductions: Record<string, Reduction> = {
  ...{ sum: tf.sum, mean: tf.mean, prod: tf.prod, max: tf.max, min: tf.min, logSumExp: tf.logSumExp },
}

function elementwise(): Case[] {
  const ones = Object.entries(unary).flatMap(([name, op]): Case[] => [
    [`${name} of special numbers`, () => op(special())],
    [`${name} of six axes`, () => op(wave(1, 2, 1, 2, 1, 3))],
    [`${name} of nothing`, () => op(empty(0, 3))],
    [`${name} of a scalar`, () => op(tf.scalar(0.3))],
  ])
  const twos = Object.entries({ ...arithmetic, ...comparisons }).flatMap(([name, op]): Case[] => [
    [`${name} of five axes`, () => op(wave(2, 1, 3, 1, 2), wave(3, 1, 4, 1))],
    [`${name} of three axes and six`, () => op(wave(1, 3, 1), wave(2, 1, 1, 2, 3, 2))],
    [`${name} of nothing and a row`, () => op(empty(0, 3), wave(3))],
    [`${name} of a scalar and a table`, () => op(tf.scalar(2), wave(2, 2))],
    [`${name} of whole numbers and floats`, () => op(int([-7, 7]), float([2.5, -2]))],
    [`${name} of special numbers`, () => op(tf.reshape(special(), [10, 1]), special())],
  ])
  const whole = Object.entries(comparisons).flatMap(([name, op]): Case[] => [
    [
      `${name} of large whole numbers`,
      () => op(int([16777217, 2147483647, -5]), int([16777216, 2147483646, -5])),
    ],
    [`${name} of truths`, () => op(bool([1, 0, 1]), bool([1, 1, 0]))],
  ])
  return [...ones, ...twos, ...whole]
}

function reduced(): Case[] {
  return Object.entries(reductions).flatMap(([name, op]): Case[] => [
    [`${name} of all`, () => op(wave(2, 3, 2))],
    [`${name} along axis -2 of five`, () => op(wave(2, 1, 3, 2, 2), -2)],
    [`${name} along two of six, kept`, () => op(wave(2, 1, 2, 1, 2, 2), [1, -2], true)],
    [`${name} of a scalar`, () => op(tf.scalar(-0.7))],
    [`${name} along an axis beside an empty one`, () => op(empty(0, 2), 1)],
    [
      `${name} with NaN and infinities`,
      () =>
        op(
          float([
            [1, N, 3],
            [I, 2, 2],
            [-I, -I, -I],
          ]),
          1,
        ),
    ],
    [
      `${name} of whole numbers`,
      () =>
        op(
          int([
            [5, -9, 3],
            [1, 2, 4],
          ]),
          1,
        ),
    ],
  ])
}

const places: Case[] = [
  [
    'argMax with ties',
    () =>
      tf.argMax(
        float([
          [2, 2, 1],
          [0, -0, 0],
        ]),
        1,
      ),
  ],
  ['argMin of five axes', () => tf.argMin(wave(2, 1, 3, 2, 2), -2)],
  ['any and all', () => [tf.any(bool([0, 0, 1, 0], [2, 2]), 1), tf.all(bool([1, 1, 1, 0], [2, 2]), 0)]],
  [
    'softmax with infinities',
    () =>
      tf.softmax(
        float([
          [-I, 0, 1],
          [N, 0, 1],
          [1e4, 0, -1e4],
        ]),
      ),
  ],
  ['logSoftmax of five axes', () => tf.logSoftmax(wave(1, 2, 1, 2, 3))],
  ['casts', () => [tf.cast(float([1.9, -1.9, -0.5]), 'int32'), tf.cast(float([0, -0, 0.1, N]), 'bool')]],
  [
    'casts of whole numbers and truths',
    () => [tf.cast(int([0, 3, -1]), 'bool'), tf.cast(bool([1, 0]), 'float32')],
  ],
  ['concat with nothing', () => tf.concat([wave(2, 3), empty(0, 3), wave(1, 3)], 0)],
  ['concat of five axes', () => tf.concat([wave(1, 2, 1, 2, 1), wave(1, 2, 1, 2, 3)], -1)],
  ['split and stack', () => [...tf.split(wave(2, 6), [1, 2, 3], -1), tf.stack([wave(2, 3), wave(2, 3)], -1)]],
  [
    'pad',
    () => [
      tf.pad(
        wave(2, 3),
        [
          [1, 0],
          [0, 2],
        ],
        7,
      ),
      tf.pad(bool([1, 0]), [[1, 1]]),
      tf.pad(
        empty(0, 2),
        [
          [1, 1],
          [0, 0],
        ],
        3,
      ),
    ],
  ],
  [
    'mirrorPad',
    () => [
      tf.mirrorPad(
        wave(3, 4),
        [
          [1, 2],
          [0, 3],
        ],
        'reflect',
      ),
      tf.mirrorPad(
        wave(3, 4),
        [
          [1, 2],
          [0, 3],
        ],
        'symmetric',
      ),
    ],
  ],
  [
    'tile',
    () => [tf.tile(wave(1, 2, 1, 2, 1), [2, 1, 3, 1, 2]), tf.tile(wave(2), [0]), tf.tile(bool([1, 0]), [2])],
  ],
  ['reverse of six axes', () => tf.reverse(wave(1, 2, 1, 2, 1, 2), [1, -1])],
  ['transpose of six axes', () => tf.transpose(wave(1, 2, 3, 1, 2, 2), [5, 2, 0, 1, 4, 3])],
  ['broadcastTo', () => tf.broadcastTo(wave(1, 3, 1), [2, 2, 3, 2])],
  ['slice of nothing', () => tf.slice(wave(3, 4), [1, 1], [0, 2])],
  ['stridedSlice backwards', () => tf.stridedSlice(wave(4, 5), [3, -1], [0, -5], [-1, -2])],
  ['stridedSlice with masks', () => tf.stridedSlice(wave(4, 5, 2), [1, 0], [3, 0], [1, 2], 2, 2, 0, 1)],
  [
    'gather',
    () => [
      tf.gather(wave(3, 2), tf.tensor1d([], 'int32')),
      tf.gather(wave(3, 2), tf.tensor1d([1, 0, 1], 'int32'), -1),
      tf.gather(bool([1, 0, 1]), tf.tensor1d([2, 1], 'int32')),
    ],
  ],
  ['oneHot of what is outside', () => tf.oneHot(tf.tensor1d([0, 3, -1, 5], 'int32'), 4, 5, -1)],
  [
    'where',
    () => [
      tf.where(bool([1, 0]), wave(3, 2), tf.scalar(5)),
      tf.where(bool([1, 0]), float([1, N]), float([N, 2])),
    ],
  ],
  ['scatterND of a place named twice', () => tf.scatterND(int([[1], [3], [1]]), wave(3, 2), [5, 2])],
  ['gatherND of nothing', () => tf.gatherND(wave(2, 3), tf.zeros([0, 2], 'int32'))],
]

const layers: Case[] = [
  [
    'einsum',
    () => [
      tf.einsum('bij,bjk->bik', wave(2, 3, 4), wave(2, 4, 2)),
      tf.einsum('ij->j', wave(2, 3)),
      tf.einsum('i,j->ij', wave(2), wave(3)),
    ],
  ],
  [
    'matMul turned',
    () => [
      tf.matMul(wave(2, 4, 3), wave(2, 4, 2), true),
      tf.matMul(wave(4, 3), wave(2, 4), true, true),
      tf.matMul(wave(2, 3, 4), wave(1, 5, 4), false, true),
    ],
  ],
  [
    'matMul of nothing',
    () => [
      tf.matMul(empty(2, 0) as tf.Tensor2D, empty(0, 3) as tf.Tensor2D),
      tf.matMul(empty(0, 2) as tf.Tensor2D, wave(2, 3) as tf.Tensor2D),
    ],
  ],
  ['image flipped', () => tf.image.flipLeftRight(wave(1, 2, 3, 2) as tf.Tensor4D)],
  ...(['bilinear', 'nearest'] as const).map((method): Case => [
    `image cut and resized, ${method}`,
    () =>
      tf.image.cropAndResize(
        wave(1, 4, 4, 2) as tf.Tensor4D,
        tf.tensor2d([
          [0, 0, 1, 1],
          [0.2, -0.1, 0.8, 1.2],
        ]),
        tf.tensor1d([0, 0], 'int32'),
        [3, 3],
        method,
        0.5,
      ),
  ]),
  ['bandPart', () => tf.linalg.bandPart(wave(2, 4, 4), 1, 0)],
  [
    'an LSTM cell',
    () =>
      tf.basicLSTMCell(
        tf.scalar(1),
        wave(5, 12) as tf.Tensor2D,
        wave(12) as tf.Tensor1D,
        wave(1, 2) as tf.Tensor2D,
        wave(1, 3) as tf.Tensor2D,
        wave(1, 3) as tf.Tensor2D,
      ),
  ],
  [
    'losses',
    () => [
      tf.losses.huberLoss(wave(4), tf.zeros([4])),
      tf.losses.sigmoidCrossEntropy(float([0, 1]), wave(2)),
      tf.losses.softmaxCrossEntropy(float([[0, 1]]), wave(1, 2)),
      tf.losses.cosineDistance(wave(2, 3), wave(2, 3), 1),
    ],
  ],
]

export const edges: Case[] = [...elementwise(), ...reduced(), ...places, ...layers]
