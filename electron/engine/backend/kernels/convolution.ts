import { cast, filled, integers, node, reshape, transpose } from '../builder'
import type { Value } from '../graph'
import { tf } from '../tf'
import { activate } from './activation'
import type { Kernel, KernelTable } from './table'

/**
 * Convolutions over two or three axes. tfjs keeps channels last and filters as [...space, in, out]; ONNX wants
 * channels first and filters as [out, in / groups, ...space], so every kernel transposes on its way in and out.
 */

/** A window that slides over the spatial axes, one number for each. */
export interface Window {
  /** Of the filter. */
  size: number[]
  strides: number[]
  dilations: number[]
  /** Zeros before and after; what a stride would leave over behind is not counted. */
  before: number[]
  after: number[]
  /** Spatial shape of what slides over, and of what comes out. */
  input: number[]
  output: number[]
}

type Info2D = ReturnType<typeof tf.backend_util.computePool2DInfo>
type Info3D = ReturnType<typeof tf.backend_util.computePool3DInfo>

/** @param info of a pool or a convolution, channels last or first */
export function windowOf(info: Info2D | Info3D): Window {
  const pads = info.padInfo
  const three = 'inDepth' in info
  const window = {
    size: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    before: [pads.top, pads.left],
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
  }
  if (three) {
    window.size.unshift(info.filterDepth)
    window.strides.unshift(info.strideDepth)
    window.dilations.unshift(info.dilationDepth)
    window.before.unshift((pads as Info3D['padInfo']).front)
    window.input.unshift(info.inDepth)
    window.output.unshift(info.outDepth)
  }
  const after = window.output.map((count, i) => {
    const reach = (count - 1) * window.strides[i]! + (window.size[i]! - 1) * window.dilations[i]! + 1
    return Math.max(0, reach - window.input[i]! - window.before[i]!)
  })
  return { ...window, after }
}

export const attributesOf = (window: Window) => ({
  kernel_shape: window.size,
  strides: window.strides,
  dilations: window.dilations,
  pads: [...window.before, ...window.after],
})

const spatial = (rank: number) => Array.from({ length: rank - 2 }, (_, i) => i)

/** [batch, ...space, channels] to [batch, channels, ...space]. */
export function channelsFirst(x: Value): Value {
  const rank = x.shape.length
  return transpose(x, [0, rank - 1, ...spatial(rank).map((i) => i + 1)])
}

export function channelsLast(x: Value): Value {
  return transpose(x, [0, ...spatial(x.shape.length).map((i) => i + 2), 1])
}

/** [...space, in, out] to [out, in, ...space]. */
function filterFirst(filter: Value): Value {
  const rank = filter.shape.length
  return transpose(filter, [rank - 1, rank - 2, ...spatial(rank)])
}

/** [...space, channels, multiplier] to [channels * multiplier, 1, ...space]. */
function depthwiseFilterFirst(filter: Value): Value {
  const rank = filter.shape.length
  const space = spatial(rank)
  const moved = transpose(filter, [rank - 2, rank - 1, ...space])
  return reshape(moved, [moved.shape[0]! * moved.shape[1]!, 1, ...filter.shape.slice(0, -2)])
}

/** Everything channels first. */
function convolve(x: Value, filter: Value, window: Window, group: number): Value {
  const shape = [x.shape[0]!, filter.shape[0]!, ...window.output]
  return node('Conv', [x, filter], shape, 'float32', { attributes: { ...attributesOf(window), group } })
}

/** The transpose of `convolve` as a linear map of x: spreads dy over the input. */
export function spread(dy: Value, filter: Value, window: Window, group: number): Value {
  const channels = filter.shape[1]! * group
  const shape = [dy.shape[0]!, channels, ...window.input]
  const reach = (i: number) =>
    (window.output[i]! - 1) * window.strides[i]! + (window.size[i]! - 1) * window.dilations[i]! + 1
  const output_padding = window.input.map((size, i) =>
    Math.max(0, size + window.before[i]! + window.after[i]! - reach(i)),
  )
  const attributes = { ...attributesOf(window), group, output_padding }
  return node('ConvTranspose', [dy, filter], shape, 'float32', { attributes })
}

/**
 * The gradient of a filter is a convolution too: of x over dy, with batch and channels, strides and dilations in each
 * other's place. What a stride leaves over gives rows beyond the filter, which are cut.
 */
function filterGradient(x: Value, dy: Value, window: Window, group: number): Value {
  const swapped: Window = {
    ...window,
    size: window.output,
    strides: window.dilations,
    dilations: window.strides,
    output: window.output.map((count, i) => {
      const reach = (count - 1) * window.strides[i]! + 1
      const room = window.input[i]! + window.before[i]! + window.after[i]! - reach
      return Math.floor(room / window.dilations[i]!) + 1
    }),
  }
  const gradient = convolve(x, dy, swapped, group)
  const axes = window.size.map((_, i) => i + 2)
  const shape = [...gradient.shape.slice(0, 2), ...window.size]
  const inputs = [gradient, integers(axes.map(() => 0)), integers(window.size), integers(axes)]
  return node('Slice', inputs, shape, 'float32')
}

const swapBatch = (x: Value) => transpose(x, [1, 0, ...spatial(x.shape.length).map((i) => i + 2)])

interface Attributes {
  strides: number | number[]
  dilations?: number | number[]
  pad: never
  dimRoundingMode?: 'floor' | 'round' | 'ceil'
  dataFormat?: 'NHWC' | 'NCHW' | 'NDHWC' | 'NCDHW'
}

function plan(input: readonly number[], filter: readonly number[], a: Attributes, depthwise: boolean) {
  const dilations = (a.dilations ?? 1) as never
  const strides = a.strides as never
  if (input.length === 5) {
    return tf.backend_util.computeConv3DInfo(
      input as never,
      filter as never,
      strides,
      dilations,
      a.pad,
      false,
      'channelsLast',
      a.dimRoundingMode,
    )
  }
  const format = tf.backend_util.convertConv2DDataFormat((a.dataFormat ?? 'NHWC') as 'NHWC')
  return tf.backend_util.computeConv2DInfo(
    input as never,
    filter as never,
    strides,
    dilations,
    a.pad,
    a.dimRoundingMode,
    depthwise,
    format,
  )
}

/** Channels go first on the way in, and back to where tfjs has them on the way out. */
const entering = (x: Value, a: Attributes) => (isFirst(a) ? x : channelsFirst(x))
const leaving = (x: Value, a: Attributes) => (isFirst(a) ? x : channelsLast(x))
const isFirst = ({ dataFormat }: Attributes) => dataFormat === 'NCHW' || dataFormat === 'NCDHW'

const convolution: Kernel = ({ x, filter }, a: Attributes) => {
  const info = plan(x!.shape, filter!.shape, a, false)
  if (x!.size === 0) return filled(info.outShape, 0, 'float32')
  const input = entering(cast(x!, 'float32'), a)
  return leaving(convolve(input, filterFirst(filter!), windowOf(info), 1), a)
}

const inputGradient: Kernel = ({ dy, filter }, a: Attributes & { inputShape: number[] }) => {
  const info = plan(a.inputShape, filter!.shape, a, false)
  return leaving(spread(entering(dy!, a), filterFirst(filter!), windowOf(info), 1), a)
}

const convolutionFilterGradient: Kernel = ({ x, dy }, a: Attributes & { filterShape: number[] }) => {
  const info = plan(x!.shape, a.filterShape, a, false)
  // [in, batch, ...space] over [out, batch, ...space] is [in, out, ...filter].
  const inputs = swapBatch(entering(x!, a))
  const gradient = filterGradient(inputs, swapBatch(entering(dy!, a)), windowOf(info), 1)
  return transpose(gradient, [...spatial(gradient.shape.length).map((i) => i + 2), 0, 1])
}

const depthwise: Kernel = ({ x, filter }, a: Attributes) => {
  const info = plan(x!.shape, filter!.shape, a, true)
  if (x!.size === 0) return filled(info.outShape, 0, 'float32')
  const input = entering(cast(x!, 'float32'), a)
  return leaving(convolve(input, depthwiseFilterFirst(filter!), windowOf(info), info.inChannels), a)
}

const depthwiseInputGradient: Kernel = ({ dy, filter }, a: Attributes & { inputShape: number[] }) => {
  const info = plan(a.inputShape, filter!.shape, a, true)
  const weights = depthwiseFilterFirst(filter!)
  return leaving(spread(entering(dy!, a), weights, windowOf(info), info.inChannels), a)
}

const depthwiseFilterGradient: Kernel = ({ x, dy }, a: Attributes & { filterShape: number[] }) => {
  const info = plan(x!.shape, a.filterShape, a, true)
  const { batchSize: batch, inChannels: channels } = info
  const window = windowOf(info)
  // One group a channel, in which the batch stands where a convolution has its input channels.
  const input = swapBatch(entering(x!, a))
  const one = reshape(input, [1, channels * batch, ...window.input])
  const gradient = filterGradient(one, swapBatch(entering(dy!, a)), window, channels)
  const apart = reshape(gradient, [channels, a.filterShape.at(-1)!, ...window.size])
  return transpose(apart, [...window.size.map((_, i) => i + 2), 0, 1])
}

/** tf.fused: a convolution, a bias along the channels, an activation. */
function fused(kernel: Kernel): Kernel {
  return (inputs, a) => {
    let result = kernel(inputs, a) as Value
    const { bias } = inputs
    if (bias) {
      const first = isFirst(a as Attributes) && bias.shape.length === 1
      const along = first ? reshape(bias, [bias.size, ...result.shape.slice(2).map(() => 1)]) : bias
      result = node('Add', [result, along], result.shape, 'float32')
    }
    return activate(result, a, inputs.preluActivationWeights)
  }
}

export const convolutions: KernelTable = {
  Conv2D: convolution,
  Conv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: convolutionFilterGradient,
  Conv3D: convolution,
  Conv3DBackpropInputV2: inputGradient,
  Conv3DBackpropFilterV2: convolutionFilterGradient,
  DepthwiseConv2dNative: depthwise,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  FusedConv2D: fused(convolution),
  FusedDepthwiseConv2D: fused(depthwise),
}
