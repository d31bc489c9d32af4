import { filled, node, nodes, reshape, scalar, integers } from '../builder'
import { known } from '../known'
import { tf } from '../tf'
import { scatterAdd } from './indexing'
import { attributesOf, channelsFirst, channelsLast, spread, windowOf, type Window } from './convolution'
import type { Kernel, KernelTable } from './table'

/** Pools over two or three axes and their gradients. */

interface Attributes {
  filterSize: never
  strides: never
  pad: never
  dimRoundingMode?: 'floor' | 'round' | 'ceil'
}

function plan(shape: readonly number[], { filterSize, strides, pad, dimRoundingMode }: Attributes) {
  return shape.length === 5
    ? tf.backend_util.computePool3DInfo(shape as never, filterSize, strides, 1, pad, dimRoundingMode)
    : tf.backend_util.computePool2DInfo(shape as never, filterSize, strides, 1, pad, dimRoundingMode)
}

const pool =
  (name: 'MaxPool' | 'AveragePool'): Kernel =>
  ({ x }, a: Attributes) => {
    const info = plan(x!.shape, a)
    if (x!.size === 0) return filled(info.outShape, 0, 'float32')
    const window = windowOf(info)
    const input = channelsFirst(x!)
    const shape = [...input.shape.slice(0, 2), ...window.output]
    return channelsLast(node(name, [input], shape, 'float32', { attributes: poolAttributes(name, window) }))
  }

function poolAttributes(name: 'MaxPool' | 'AveragePool', window: Window) {
  const { dilations, ...others } = attributesOf(window)
  return name === 'MaxPool' ? { ...others, dilations } : { ...others, count_include_pad: 0 }
}

/** Each maximum passes its gradient to the place it came from; of equals, to the first. */
const maxPoolGradient: Kernel = ({ dy, input }, a: Attributes) => {
  const window = windowOf(plan(input!.shape, a))
  const x = channelsFirst(input!)
  const shape = [...x.shape.slice(0, 2), ...window.output]
  const outputs = [
    { shape, type: 'float32' as const },
    { shape, type: 'int64' as const },
  ]
  // Places are counted through the whole tensor.
  const [, places] = nodes('MaxPool', [x], outputs, { attributes: poolAttributes('MaxPool', window) })
  const zeros = node('Expand', [scalar(0, 'float32'), integers([x.size])], [x.size], 'float32')
  const gradient = channelsFirst(dy!)
  const flat = scatterAdd(zeros, reshape(places!, [gradient.size, 1]), reshape(gradient, [gradient.size]))
  return channelsLast(reshape(flat, x.shape))
}

/**
 * Each mean passes its gradient in equal parts to what it was taken of. (tfjs's cpu backend divides by the filter's
 * size also at a padded border, where the mean was of fewer; libtensorflow and this one by their number.)
 */
const averagePoolGradient: Kernel = ({ dy, input }, a: Attributes) => {
  const window = windowOf(plan(input!.shape, a))
  const gradient = channelsFirst(dy!)
  const [batch, channels] = gradient.shape as [number, number]
  const parts = node(
    'Mul',
    [gradient, known(shares(window), window.output, 'float32')],
    gradient.shape,
    'float32',
  )
  const each = reshape(parts, [batch * channels, 1, ...window.output])
  const ones = filled([1, 1, ...window.size], 1, 'float32')
  return channelsLast(reshape(spread(each, ones, window, 1), [batch, channels, ...window.input]))
}

/** 1 / how many elements each output is the mean of, in row order. */
function shares(window: Window): number[] {
  const counts = window.output.map((outputs, axis) =>
    Array.from({ length: outputs }, (_, at) => {
      const start = at * window.strides[axis]! - window.before[axis]!
      return Math.min(start + window.size[axis]!, window.input[axis]!) - Math.max(start, 0)
    }),
  )
  return counts.reduce((rows, axis) => rows.flatMap((row) => axis.map((count) => row / count)), [1])
}

export const pools: KernelTable = {
  MaxPool: pool('MaxPool'),
  MaxPoolGrad: maxPoolGradient,
  MaxPool3D: pool('MaxPool'),
  MaxPool3DGrad: maxPoolGradient,
  AvgPool: pool('AveragePool'),
  AvgPoolGrad: averagePoolGradient,
  AvgPool3D: pool('AveragePool'),
  AvgPool3DGrad: averagePoolGradient,
}
