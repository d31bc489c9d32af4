import { describe, expect, it } from 'vitest'
import { startBackend } from '..'
import { expectSame, tensor, type Row } from '../expectSame'
import { tf } from '../tf'
import { kernels } from '.'

const integers = (x: tf.Tensor, scale = 3) => tf.cast(tf.round(tf.mul(x, scale)), 'int32')
const whole = (x: tf.Tensor) => tf.abs(integers(x))

const compositions: Row[] = [
  ['bandPart', [[4, 5]], (x) => tf.linalg.bandPart(x!, 1, 2)],
  ['gramSchmidt', [[3, 4]], (x) => tf.linalg.gramSchmidt(x as tf.Tensor2D) as tf.Tensor],
  ['qr', [[4, 3]], (x) => tf.matMul(...(tf.linalg.qr(x!) as [tf.Tensor, tf.Tensor]))],
  [
    'softmaxCrossEntropy',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.softmaxCrossEntropy(tf.softmax(a!), b!),
  ],
  [
    'sigmoidCrossEntropy',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.sigmoidCrossEntropy(tf.sigmoid(a!), b!),
  ],
  [
    'huberLoss',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.huberLoss(a!, b!),
    true,
  ],
  [
    'absoluteDifference',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.absoluteDifference(a!, b!),
    true,
  ],
  [
    'meanSquaredError',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.meanSquaredError(a!, b!),
    true,
  ],
  [
    'logLoss',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.logLoss(tf.sigmoid(a!), tf.sigmoid(b!)),
    true,
  ],
  [
    'cosineDistance',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.cosineDistance(a!, b!, 1),
    true,
  ],
  ['hingeLoss', [[3, 4]], (a) => tf.losses.hingeLoss(tf.greater(a!, 0), a!)],
  [
    'confusionMatrix',
    [[6]],
    (x) => tf.math.confusionMatrix(whole(x!) as tf.Tensor1D, whole(x!) as tf.Tensor1D, 7),
  ],
  [
    'an LSTM cell',
    [[2, 3], [2, 4], [2, 4], [7, 16], [16]],
    (x, c, h, w, b) =>
      tf.concat(
        tf.basicLSTMCell(
          tf.scalar(1),
          w as tf.Tensor2D,
          b as tf.Tensor1D,
          x as tf.Tensor2D,
          c as tf.Tensor2D,
          h as tf.Tensor2D,
        ),
        1,
      ),
    true,
  ],
  [
    'a GRU cell',
    [
      [2, 4],
      [2, 4],
      [8, 4],
      [8, 4],
    ],
    (x, h, gate, w) => {
      const z = tf.sigmoid(tf.matMul(tf.concat([x!, h!], 1), gate!))
      const candidate = tf.tanh(tf.matMul(tf.concat([x!, tf.mul(z, h!)], 1), w!))
      return tf.add(tf.mul(z, h!), tf.mul(tf.sub(1, z), candidate))
    },
    true,
  ],
]

describe.each([['compositions', compositions]] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (_name, shapes, op, gradient = false) => {
    await expectSame(
      shapes.map((shape) => tensor(shape)),
      op,
      gradient,
    )
  })
})

describe('optimisers', () => {
  const optimisers: [string, () => tf.Optimizer][] = [
    ['sgd', () => tf.train.sgd(0.1)],
    ['momentum', () => tf.train.momentum(0.1, 0.9, true)],
    ['adagrad', () => tf.train.adagrad(0.1)],
    ['adadelta', () => tf.train.adadelta(0.5)],
    ['adam', () => tf.train.adam(0.1)],
    ['adamax', () => tf.train.adamax(0.1)],
    ['rmsprop', () => tf.train.rmsprop(0.1, 0.9, 0.5, undefined, true)],
  ]
  async function descend(backend: 'cpu' | 'onnx', make: () => tf.Optimizer): Promise<number[]> {
    await startBackend(backend, { threads: 1 })
    const w = tf.variable(tf.tensor1d([1, -2, 0.5]))
    const optimiser = make()
    for (let i = 0; i < 4; i++) {
      optimiser.minimize(() => tf.sum(tf.square(tf.sub(tf.exp(w), tf.tensor1d([1, 2, 3])))))
      await w.data()
    }
    const values = Array.from(await w.data())
    optimiser.dispose()
    w.dispose()
    return values
  }
  it.each(optimisers)('%s takes the same four steps', async (_name, make) => {
    const [ours, theirs] = [await descend('onnx', make), await descend('cpu', make)]
    for (const [i, value] of theirs.entries()) expect(ours[i]).toBeCloseTo(value, 5)
  })
})

describe('the table of kernels', () => {
  /** Not here on purpose: complex numbers (no type of ONNX Runtime's), morphology. */
  const LEFT_OUT = ['ComplexAbs', 'Dilation2D']
  /** Registered beside the table: it records nothing. */
  const SHARED = ['Identity']
  const LAYERS = [
    'AvgPool',
    'AvgPoolGrad',
    'Bincount',
    'Conv2D',
    'Conv2DBackpropFilter',
    'Conv2DBackpropInput',
    'Cumprod',
    'DenseBincount',
    'DepthwiseConv2dNative',
    'DepthwiseConv2dNativeBackpropFilter',
    'DepthwiseConv2dNativeBackpropInput',
    'Einsum',
    'EluGrad',
    'Fill',
    'FloorDiv',
    'FusedBatchNorm',
    'FusedConv2D',
    'FusedDepthwiseConv2D',
    'LinSpace',
    'LRNGrad',
    'MaxPool',
    'MaxPoolGrad',
    'Range',
    'ResizeBilinearGrad',
    'ResizeNearestNeighborGrad',
    'ScatterNd',
    'SearchSorted',
    'SparseToDense',
    'StridedSlice',
    'TensorScatterUpdate',
    'TopK',
    '_FusedMatMul',
  ]

  it('has every kernel that has a gradient in tfjs, and those of optimisers, losses and layers', () => {
    const differentiable = tf
      .getKernelsForBackend('cpu')
      .map(({ kernelName }) => kernelName)
      .filter((name) => tf.getGradient(name))
    const needed = [...differentiable, ...LAYERS].filter((name) => ![...LEFT_OUT, ...SHARED].includes(name))
    expect(needed.length).toBeGreaterThan(120)
    expect(needed.filter((name) => !(name in kernels))).toEqual([])
  })

  it('names a kernel that is not in it, and the operation that wanted it', async () => {
    await startBackend('onnx', { threads: 1 })
    expect(() => tf.unique(tf.tensor1d([1, 1, 2]))).toThrow(/no kernel Unique, which tf\.unique wants/)
    expect(() =>
      tf.dilation2d(tf.ones<tf.Rank.R4>([1, 3, 3, 1]), tf.ones<tf.Rank.R3>([2, 2, 1]), 1, 'same'),
    ).toThrow(/no kernel Dilation2D, which tf\.dilation2d wants/)
  })

  it('finds places of true values once they are computed', async () => {
    await startBackend('onnx', { threads: 1 })
    const places = await tf.whereAsync(tf.greater(tf.tensor1d([1, -1, 2]), 0))
    expect(Array.from(await places.data())).toEqual([0, 2])
  })
})
