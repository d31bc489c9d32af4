import { cast, integers, node, reshape, transpose } from '../builder'
import type { Value } from '../graph'
import { known } from '../known'
import { tf } from '../tf'
import type { Kernel, KernelTable } from './table'

/** Kernels of image layers: resizing, normalisation over channels, blocks of space. */

interface Resize {
  alignCorners: boolean
  halfPixelCenters: boolean
}

/** Which old element, and how much of its successor, element `i` of a resized axis is made of. */
type Rule = (i: number, scale: number, old: number, a: Resize) => { first: number; fraction: number }

const bilinear: Rule = (i, scale, old, { halfPixelCenters }) => {
  const at = Math.max(0, halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i)
  const first = Math.min(old - 1, Math.floor(at))
  return { first, fraction: first < old - 1 ? at - first : 0 }
}

const nearest: Rule = (i, scale, old, { alignCorners, halfPixelCenters }) => {
  const at = halfPixelCenters ? scale * (i + 0.5) : scale * i
  return { first: Math.min(old - 1, alignCorners ? Math.round(at) : Math.floor(at)), fraction: 0 }
}

/** Resizing an axis is a product with this [size, old] matrix. */
function matrix(old: number, size: number, rule: Rule, a: Resize): Value {
  const aligned = a.alignCorners && size > 1
  const scale = aligned ? (old - 1) / (size - 1) : old / size
  const values = new Float32Array(size * old)
  for (let i = 0; i < size; i++) {
    const { first, fraction } = rule(i, scale, old, a)
    values[i * old + first]! += 1 - fraction
    if (fraction) values[i * old + first + 1]! += fraction
  }
  return known(values, [size, old], 'float32')
}

const product = (a: Value, b: Value, shape: number[], transA: number, transB: number) =>
  node('FusedMatMul', [a, b], shape, 'float32', {
    attributes: { transA, transB },
    domain: 'com.microsoft',
  })

const resize =
  (rule: Rule): Kernel =>
  ({ images }, a: Resize & { size: [number, number] }) => {
    const [batch, height, width, channels] = images!.shape as [number, number, number, number]
    const [rows, columns] = a.size
    const x = transpose(cast(images!, 'float32'), [0, 3, 1, 2])
    const down = product(matrix(height, rows, rule, a), x, [batch, channels, rows, width], 0, 0)
    const across = product(down, matrix(width, columns, rule, a), [batch, channels, rows, columns], 0, 1)
    return transpose(across, [0, 2, 3, 1])
  }

/** The same products, transposed. */
const resizeGradient =
  (rule: Rule): Kernel =>
  ({ images, dy }, a: Resize) => {
    const [batch, height, width, channels] = images!.shape as [number, number, number, number]
    const [, rows, columns] = dy!.shape as [number, number, number, number]
    const gradient = transpose(dy!, [0, 3, 1, 2])
    const up = product(matrix(height, rows, rule, a), gradient, [batch, channels, height, columns], 1, 0)
    const across = product(up, matrix(width, columns, rule, a), [batch, channels, height, width], 0, 0)
    return transpose(across, [0, 2, 3, 1])
  }

const batchNorm: Kernel = ({ x, mean, variance, offset, scale }, { varianceEpsilon }) => {
  const shape = x!.shape
  const epsilon = known([varianceEpsilon], [], 'float32')
  const deviation = node(
    'Sqrt',
    [node('Add', [variance!, epsilon], variance!.shape, 'float32')],
    variance!.shape,
    'float32',
  )
  let result = node('Div', [node('Sub', [x!, mean!], shape, 'float32'), deviation], shape, 'float32')
  if (scale) result = node('Mul', [result, scale], shape, 'float32')
  return offset ? node('Add', [result, offset], shape, 'float32') : result
}

interface Response {
  depthRadius: number
  bias: number
  alpha: number
  beta: number
}

/** Sums over the channels at most `radius` away: a product with a band of ones. */
function neighbours(x: Value, radius: number): Value {
  const channels = x.shape.at(-1)!
  const band = Float32Array.from({ length: channels * channels }, (_, i) =>
    Math.abs(Math.floor(i / channels) - (i % channels)) <= radius ? 1 : 0,
  )
  return node('MatMul', [x, known(band, [channels, channels], 'float32')], x.shape, 'float32')
}

const by = (x: Value, operator: string, number: number) =>
  node(operator, [x, known([number], [], 'float32')], x.shape, 'float32')
const times = (a: Value, b: Value) => node('Mul', [a, b], a.shape, 'float32')

/** bias + alpha * sum of squares of the neighbouring channels. */
const responseNorm = (x: Value, { depthRadius, bias, alpha }: Response) =>
  by(by(neighbours(times(x, x), depthRadius), 'Mul', alpha), 'Add', bias)

const localResponse: Kernel = ({ x }, a: Response) => times(x!, by(responseNorm(x!, a), 'Pow', -a.beta))

/** With n the norm: dy n^-beta - 2 alpha beta x (sum of the neighbours' dy y / n). */
const localResponseGradient: Kernel = ({ x, y, dy }, a: Response) => {
  const norm = responseNorm(x!, a)
  const own = times(dy!, by(norm, 'Pow', -a.beta))
  const others = neighbours(node('Div', [times(dy!, y!), norm], x!.shape, 'float32'), a.depthRadius)
  return node('Sub', [own, by(times(x!, others), 'Mul', 2 * a.alpha * a.beta)], x!.shape, 'float32')
}

const batchToSpace: Kernel = ({ x }, { blockShape, crops }) => {
  const blocks = blockShape as number[]
  const area = blocks.reduce((a, b) => a * b, 1)
  const { getReshaped, getPermuted, getReshapedPermuted, getSliceBeginCoords, getSliceSize } = tf.backend_util
  const apart = reshape(x!, getReshaped([...x!.shape], blocks, area))
  const moved = transpose(apart, getPermuted(apart.shape.length, blocks.length))
  const whole = reshape(moved, getReshapedPermuted([...x!.shape], blocks, area))
  const from = getSliceBeginCoords(crops, blocks.length)
  const begin = whole.shape.map((_, i) => from[i] ?? 0)
  const cropped = getSliceSize([...whole.shape], crops, blocks.length)
  const size = [...cropped, ...whole.shape.slice(cropped.length)]
  const end = begin.map((b, i) => b + size[i]!)
  return node('Slice', [whole, integers(begin), integers(end)], size, x!.type)
}

const spaceToBatch: Kernel = ({ x }, { blockShape, paddings }) => {
  const blocks = blockShape as number[]
  const area = blocks.reduce((a, b) => a * b, 1)
  const pads = [[0, 0], ...(paddings as number[][])]
  while (pads.length < x!.shape.length) pads.push([0, 0])
  const shape = x!.shape.map((size, i) => size + pads[i]![0]! + pads[i]![1]!)
  const ends = [...pads.map(([before]) => before!), ...pads.map(([, after]) => after!)]
  const padded = node('Pad', [x!, integers(ends)], shape, x!.type)
  const { getReshaped, getPermuted, getReshapedPermuted } = tf.backend_util
  const apart = reshape(padded, getReshaped(shape, blocks, area, false))
  const moved = transpose(apart, getPermuted(apart.shape.length, blocks.length, false))
  return reshape(moved, getReshapedPermuted(shape, blocks, area, false))
}

const depthToSpace: Kernel = ({ x }, { blockSize, dataFormat }) => {
  const block = blockSize as number
  const last = dataFormat === 'NHWC'
  const [batch, a, b, c] = x!.shape as [number, number, number, number]
  if (last) {
    const apart = reshape(x!, [batch, a, b, block, block, c / block ** 2])
    return reshape(transpose(apart, [0, 1, 3, 2, 4, 5]), [batch, a * block, b * block, c / block ** 2])
  }
  const apart = reshape(x!, [batch, block, block, a / block ** 2, b, c])
  return reshape(transpose(apart, [0, 3, 4, 1, 5, 2]), [batch, a / block ** 2, b * block, c * block])
}

/** image [batch, height, width, channels] */
const flipLeftRight: Kernel = ({ image }) =>
  node(
    'Slice',
    [image!, ...[[-1], [-image!.shape[2]! - 1], [2], [-1]].map(integers)],
    image!.shape,
    image!.type,
  )

/** image [batch, height, width, channels]; boxes [count, 4] of y1, x1, y2, x2 in parts of the image; boxInd [count] */
const cropAndResize: Kernel = ({ image, boxes, boxInd }, { cropSize, method, extrapolationValue }) => {
  const [height, width] = cropSize as [number, number]
  const [count, channels] = [boxes!.shape[0]!, image!.shape[3]!]
  const pixels = transpose(cast(image!, 'float32'), [0, 3, 1, 2])
  const inputs = [pixels, boxes!, cast(boxInd!, 'int32'), cast(integers([height, width]), 'int32')]
  const attributes = { mode: method as string, extrapolation_value: { float: extrapolationValue as number } }
  const shape = [count, channels, height, width]
  const cut = node('CropAndResize', inputs, shape, 'float32', { attributes, domain: 'com.microsoft' })
  return transpose(cut, [0, 2, 3, 1])
}

export const images: KernelTable = {
  FlipLeftRight: flipLeftRight,
  CropAndResize: cropAndResize,
  ResizeBilinear: resize(bilinear),
  ResizeBilinearGrad: resizeGradient(bilinear),
  ResizeNearestNeighbor: resize(nearest),
  ResizeNearestNeighborGrad: resizeGradient(nearest),
  FusedBatchNorm: batchNorm,
  LRN: localResponse,
  LRNGrad: localResponseGradient,
  BatchToSpaceND: batchToSpace,
  SpaceToBatchND: spaceToBatch,
  DepthToSpace: depthToSpace,
}
