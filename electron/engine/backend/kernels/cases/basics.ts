import { tf } from '../../tf'
import type { Operation, Row } from './row'

/** Shapes that broadcast, and the degenerate ones. */
const pairs: [number[], number[]][] = [
  [
    [3, 4],
    [3, 4],
  ],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [[], [2, 3]],
  [[1], [5]],
  [
    [2, 1, 3],
    [1, 4, 1],
  ],
  [
    [0, 3],
    [1, 3],
  ],
]

const unary: [string, Operation, [number, number]][] = [
  ['neg', (x) => tf.neg(x), [-2, 2]],
  ['abs', (x) => tf.abs(x), [0.1, 2]],
  ['square', (x) => tf.square(x), [-2, 2]],
  ['sqrt', (x) => tf.sqrt(x), [0.1, 3]],
  ['rsqrt', (x) => tf.rsqrt(x), [0.1, 3]],
  ['reciprocal', (x) => tf.reciprocal(x), [0.3, 3]],
  ['exp', (x) => tf.exp(x), [-2, 2]],
  ['expm1', (x) => tf.expm1(x), [-2, 2]],
  ['log', (x) => tf.log(x), [0.1, 3]],
  ['log1p', (x) => tf.log1p(x), [-0.5, 3]],
  ['sigmoid', (x) => tf.sigmoid(x), [-4, 4]],
  ['tanh', (x) => tf.tanh(x), [-2, 2]],
  ['relu', (x) => tf.relu(x), [-2, 2]],
  ['elu', (x) => tf.elu(x), [-2, 2]],
  ['softplus', (x) => tf.softplus(x), [-4, 4]],
  ['erf', (x) => tf.erf(x), [-2, 2]],
  ['sin', (x) => tf.sin(x), [-2, 2]],
  ['cos', (x) => tf.cos(x), [-2, 2]],
  ['clip', (x) => tf.clipByValue(x, -0.5, 0.5), [-2, 2]],
]
const binary: [string, Operation, [number, number]][] = [
  ['add', (a, b) => tf.add(a!, b!), [-2, 2]],
  ['sub', (a, b) => tf.sub(a!, b!), [-2, 2]],
  ['mul', (a, b) => tf.mul(a!, b!), [-2, 2]],
  ['div', (a, b) => tf.div(a!, b!), [0.5, 2]],
  ['maximum', (a, b) => tf.maximum(a!, b!), [-2, 2]],
  ['minimum', (a, b) => tf.minimum(a!, b!), [-2, 2]],
  ['squaredDifference', (a, b) => tf.squaredDifference(a!, b!), [-2, 2]],
  ['pow', (a, b) => tf.pow(a!, b!), [0.5, 2]],
]

/** Of two tables alike. */
const logic: [string, Operation][] = [
  ['equal', (a, b) => tf.equal(tf.round(a!), tf.round(b!))],
  ['greater', (a, b) => tf.greater(a!, b!)],
  ['lessEqual', (a, b) => tf.lessEqual(a!, b!)],
  ['and', (a, b) => tf.logicalAnd(tf.greater(a!, 0), tf.greater(b!, 0))],
  ['not', (a) => tf.logicalNot(tf.greater(a!, 0))],
  ['where', (a, b) => tf.where(tf.greater(a!, 0), a!, b!)],
]

const reductions: [string, (x: tf.Tensor, axis?: number | number[], keep?: boolean) => tf.Tensor][] = [
  ['sum', tf.sum],
  ['mean', tf.mean],
  ['max', tf.max],
  ['min', tf.min],
]
const axes: (number | number[] | undefined)[] = [undefined, 0, -1, [0, 2], []]

/** Shapes, and which are transposed. */
const products: [number[], number[], boolean, boolean][] = [
  [[3, 4], [4, 2], false, false],
  [[4, 3], [4, 2], true, false],
  [[3, 4], [2, 4], false, true],
  [[4, 3], [2, 4], true, true],
  [[2, 2, 3, 4], [2, 2, 4, 3], false, false],
  [[2, 3, 4], [2, 5, 4], false, true],
  [[1, 1], [1, 1], false, false],
  [[2, 0], [0, 3], false, false],
]

const shaping: [string, number[], Operation][] = [
  ['reshape', [2, 6], (x) => tf.reshape(x!, [3, -1])],
  ['transpose', [2, 3, 4], (x) => tf.transpose(x!, [2, 0, 1])],
  ['slice', [4, 5], (x) => tf.slice(x!, [1, 2], [2, -1])],
  ['stridedSlice', [5, 4], (x) => tf.stridedSlice(x!, [4, 0], [0, 4], [-2, 3])],
  ['concat', [2, 3], (x) => tf.concat([x!, tf.mul(x!, 2), x!], 1)],
  ['stack', [2, 3], (x) => tf.stack([x!, tf.neg(x!)], 1)],
  ['split', [2, 6], (x) => tf.split(x!, [1, 2, 3], 1)[2]!],
  ['unstack', [3, 2], (x) => tf.unstack(x!)[1]!],
  [
    'pad',
    [2, 2],
    (x) =>
      tf.pad(
        x!,
        [
          [1, 0],
          [0, 2],
        ],
        3,
      ),
  ],
  ['tile', [2, 3], (x) => tf.tile(x!, [2, 1])],
  ['broadcastTo', [1, 3], (x) => tf.broadcastTo(x!, [4, 3])],
  ['reverse', [2, 3], (x) => tf.reverse(x!, [1])],
  ['expandDims', [2, 3], (x) => tf.expandDims(x!, 1)],
]

/** Logits of ±1e4. */
const extreme = () =>
  tf.tensor2d([
    [1e4, -1e4, 0],
    [-1e4, -1e4, -1e4],
  ])

/** The operations that everything is made of, over shapes that broadcast and the degenerate ones. */
export const basics: Row[] = [
  ...unary.flatMap(([name, op, range]) =>
    [[2, 3], [1], [], [0, 2]].map((shape): Row => [`${name} of ${text(shape)}`, [shape], op, true, range]),
  ),
  ...binary.flatMap(([name, op, range]) =>
    pairs.map(([a, b]): Row => {
      // tfjs itself cannot reduce these gradients over broadcast axes, nor any gradient over an axis of size 0.
      const wrong = a.includes(0) || ['maximum', 'minimum', 'squaredDifference'].includes(name)
      const gradient = a.join() === b.join() || !wrong
      return [`${name} of ${text(a)} and ${text(b)}`, [a, b], op, gradient, range]
    }),
  ),
  ...logic.flatMap(([name, op]) => pairs.map(([a]): Row => [`${name} of ${text(a)}`, [a, a], op])),
  ...reductions.flatMap(([name, op]) =>
    axes.flatMap((axis) =>
      [false, true].flatMap((keep) =>
        [
          [2, 3, 4],
          [1, 1, 1],
        ].map((shape): Row => {
          const what = `${name} of ${text(shape)} along ${text(axis ?? 'all')}${keep ? ', kept' : ''}`
          return [what, [shape], (x) => op(x!, axis, keep), true]
        }),
      ),
    ),
  ),
  ...[
    [2, 5],
    [3, 1],
    [1, 7],
  ].flatMap((shape): Row[] => [
    [`softmax of ${text(shape)}`, [shape], (x) => tf.softmax(x!), true],
    [`logSoftmax of ${text(shape)}`, [shape], (x) => tf.logSoftmax(x!), true],
    [`argMax of ${text(shape)}`, [shape], (x) => tf.argMax(x!, -1)],
    [`cumsum of ${text(shape)}`, [shape], (x) => tf.cumsum(x!, 1, true, true), true],
  ]),
  ['places of topk', [[2, 6]], (x) => tf.topk(x!, 3).indices],
  ['logSoftmax of large logits', [], () => tf.logSoftmax(extreme())],
  ['softmax of large logits', [], () => tf.softmax(extreme())],
  ...products.map(([a, b, ta, tb]): Row => {
    const what = `matMul of ${text(a)} and ${text(b)}, transposed ${ta} and ${tb}`
    return [what, [a, b], (x, y) => tf.matMul(x!, y!, ta, tb), !a.includes(0)]
  }),
  // tfjs has no gradient of a strided slice.
  ...shaping.map(([name, shape, op]): Row => [name, [shape], op, name !== 'stridedSlice']),
  [
    'gather of rows, one of them twice',
    [[3, 4]],
    (x) => tf.gather(x!, tf.tensor1d([2, 0, 2, 1], 'int32')),
    true,
  ],
  [
    'scatterND, a place named twice',
    [[3]],
    (x) => tf.scatterND(tf.tensor2d([[1], [1], [4]], undefined, 'int32'), x!, [6]),
  ],
  [
    'tensorScatterUpdate',
    [[5]],
    (x) => tf.tensorScatterUpdate(x!, tf.tensor2d([[3], [0]], undefined, 'int32'), tf.tensor1d([8, 9])),
  ],
  ['oneHot, an index out of range', [], () => tf.oneHot(tf.tensor1d([0, 2, -1], 'int32'), 3)],
  ['cast to int32', [[6]], (x) => tf.cast(x!, 'int32')],
  ['cast to bool', [[6]], (x) => tf.cast(tf.round(x!), 'bool')],
  ['cast of bool', [[6]], (x) => tf.cast(tf.greater(x!, 0), 'float32')],
]

function text(value: unknown): string {
  return JSON.stringify(value)
}
