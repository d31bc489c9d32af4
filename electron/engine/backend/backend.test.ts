import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '.'
import { expectSame, tensor, type Operation } from './expectSame'
import type { LazyBackend } from './lazyBackend'
import { ProtoWriter } from './protobuf'
import { tf } from './tf'

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

describe.each(unary)('%s', (_name, op, [low, high]) => {
  it.each([[[2, 3]], [[1]], [[]], [[0, 2]]])('equals the reference on shape %j', async (shape) => {
    await expectSame([tensor(shape, low, high)], op, true)
  })
})

describe.each(binary)('%s', (name, op, [low, high]) => {
  it.each(pairs)('equals the reference on shapes %j and %j', async (a, b) => {
    // tfjs itself cannot reduce these gradients over broadcast axes, nor any gradient over an axis of size 0.
    const same = a.join() === b.join()
    const gradient = same || !(a.includes(0) || ['maximum', 'minimum', 'squaredDifference'].includes(name))
    await expectSame([tensor(a, low, high), tensor(b, low, high)], op, gradient)
  })
})

describe('comparisons and logic', () => {
  it.each([
    ['equal', (a, b) => tf.equal(tf.round(a!), tf.round(b!))],
    ['greater', (a, b) => tf.greater(a!, b!)],
    ['lessEqual', (a, b) => tf.lessEqual(a!, b!)],
    ['and', (a, b) => tf.logicalAnd(tf.greater(a!, 0), tf.greater(b!, 0))],
    ['not', (a) => tf.logicalNot(tf.greater(a!, 0))],
    ['where', (a, b) => tf.where(tf.greater(a!, 0), a!, b!)],
  ] as [string, Operation][])('%s', async (_name, op) => {
    for (const [a] of pairs) await expectSame([tensor(a), tensor(a)], op, false)
  })
})

describe('reductions', () => {
  const axes: (number | number[] | undefined)[] = [undefined, 0, -1, [0, 2], []]
  it.each([
    ['sum', tf.sum],
    ['mean', tf.mean],
    ['max', tf.max],
    ['min', tf.min],
  ] as [string, (x: tf.Tensor, axis?: number | number[], keep?: boolean) => tf.Tensor][])(
    '%s',
    async (_n, op) => {
      for (const axis of axes) {
        for (const keep of [false, true]) {
          await expectSame([tensor([2, 3, 4])], (x) => op(x!, axis, keep), true)
          await expectSame([tensor([1, 1, 1])], (x) => op(x!, axis, keep), true)
        }
      }
    },
  )

  it('softmax, logSoftmax, argMax, cumsum, topk', async () => {
    for (const shape of [
      [2, 5],
      [3, 1],
      [1, 7],
    ]) {
      await expectSame([tensor(shape)], (x) => tf.softmax(x!), true)
      await expectSame([tensor(shape)], (x) => tf.logSoftmax(x!), true)
      await expectSame([tensor(shape)], (x) => tf.argMax(x!, -1), false)
      await expectSame([tensor(shape)], (x) => tf.cumsum(x!, 1, true, true), true)
    }
    await expectSame([tensor([2, 6])], (x) => tf.topk(x!, 3).indices, false)
  })

  it('are stable at logits of ±1e4', async () => {
    const extreme = [{ shape: [2, 3], data: [1e4, -1e4, 0, -1e4, -1e4, -1e4] }]
    await expectSame(extreme, (x) => tf.logSoftmax(x!), false)
    await expectSame(extreme, (x) => tf.softmax(x!), false)
  })
})

describe('matMul', () => {
  it.each([
    [[3, 4], [4, 2], false, false],
    [[4, 3], [4, 2], true, false],
    [[3, 4], [2, 4], false, true],
    [[4, 3], [2, 4], true, true],
    [[2, 2, 3, 4], [2, 2, 4, 3], false, false],
    [[2, 3, 4], [2, 5, 4], false, true],
    [[1, 1], [1, 1], false, false],
    [[2, 0], [0, 3], false, false],
  ] as [number[], number[], boolean, boolean][])(
    'of %j and %j, transposed %s and %s',
    async (a, b, ta, tb) => {
      await expectSame([tensor(a), tensor(b)], (x, y) => tf.matMul(x!, y!, ta, tb), !a.includes(0))
    },
  )
})

describe('shaping', () => {
  it.each([
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
  ] as [string, number[], Operation][])('%s', async (name, shape, op) => {
    // tfjs has no gradient of a strided slice.
    await expectSame([tensor(shape)], op, name !== 'stridedSlice')
  })

  it('gathers rows, also the same one twice, and adds their gradients up', async () => {
    const indices = [2, 0, 2, 1]
    await expectSame([tensor([3, 4])], (x) => tf.gather(x!, tf.tensor1d(indices, 'int32')), true)
  })

  it('scatters and makes one-hot rows; an index out of range is a row of zeros', async () => {
    await expectSame(
      [tensor([3])],
      (x) => tf.scatterND(tf.tensor2d([[1], [1], [4]], undefined, 'int32'), x!, [6]),
      false,
    )
    await expectSame(
      [tensor([5])],
      (x) => tf.tensorScatterUpdate(x!, tf.tensor2d([[3], [0]], undefined, 'int32'), tf.tensor1d([8, 9])),
      false,
    )
    await expectSame([], () => tf.oneHot(tf.tensor1d([0, 2, -1], 'int32'), 3), false)
  })

  it('casts as the reference does', async () => {
    await expectSame([tensor([6])], (x) => tf.cast(x!, 'int32'), false)
    await expectSame([tensor([6])], (x) => tf.cast(tf.round(x!), 'bool'), false)
    await expectSame([tensor([6])], (x) => tf.cast(tf.greater(x!, 0), 'float32'), false)
  })
})

describe('the lazy backend', () => {
  beforeAll(() => startBackend('onnx', { threads: 1 }))
  afterEach(() => startBackend('onnx', { threads: 1 }))
  const backend = () => tf.backend() as unknown as LazyBackend

  it('compiles a structure once, whatever the numbers', async () => {
    const step = async (x: number[]) => tf.tidy(() => tf.sum(tf.exp(tf.mul(tf.tensor1d(x), 3)))).data()
    await step([1, 2])
    const { compiled } = backend().statistics
    const [again] = await step([0, 0])
    expect(again).toBe(2)
    expect(backend().statistics.compiled).toBe(compiled)
    await step([0, 0, 0])
    expect(backend().statistics.compiled).toBe(compiled + 1)
  })

  it('computes everything that lives in one run, and reads known data without any', async () => {
    const x = tf.tensor1d([1, 2])
    const [a, b] = [tf.add(x, 1), tf.mul(x, 10)]
    const { flushes } = backend().statistics
    expect(Array.from(await a.data())).toEqual([2, 3])
    expect(Array.from(await b.data())).toEqual([10, 20])
    expect(backend().statistics.flushes).toBe(flushes + 1)
  })

  it('says which operation waits when it is read without waiting', () => {
    expect(() => tf.add(tf.tensor1d([1]), 1).dataSync()).toThrow(/Add.*data\(\) is awaited/)
  })

  it('keeps no tensor of a step', async () => {
    const step = () => tf.tidy(() => tf.sum(tf.exp(tf.randomNormal([8])))).data()
    await step()
    const before = backend().numDataIds()
    for (let i = 0; i < 20; i++) await step().then(() => {})
    expect(backend().numDataIds() - before).toBeLessThanOrEqual(20)
  })
})

describe('protocol buffers', () => {
  it('are the bytes of the specification', () => {
    const proto = new ProtoWriter()
    proto.integer(1, 150)
    proto.string(2, 'testing')
    proto.message(3, () => proto.integer(1, 150))
    // The examples of the encoding guide, but that a length takes five bytes; and -1 as ten bytes of two's complement.
    proto.integer(4, -1)
    expect(Buffer.from(proto.finish()).toString('hex')).toBe(
      '089601' + '120774657374696e67' + '1a8380808000089601' + '20ffffffffffffffffff01',
    )
  })
})
