import { describe, expect, it } from 'vitest'
import { startBackend } from '..'
import { expectRow } from '../expectSame'
import { tf } from '../tf'
import { compositions } from './cases/compositions'
import type { Row } from './cases/row'
import { kernels } from '.'

describe.each([['compositions', compositions]] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (...row) => expectRow(row))
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
