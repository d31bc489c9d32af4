import { cast, empty, filled, integers, node, nodes, reshape, scalar, transpose } from '../builder'
import type { Dtype, Value } from '../graph'
import { known } from '../known'
import { tf } from '../tf'
import type { Kernel, KernelTable } from './table'

/** Kernels that move, cut, join, index or make elements. */

const axisOf = (x: Value, axis: number): number => tf.util.parseAxisParam(axis, [...x.shape])[0]!

const cut = (x: Value, begin: number[], size: number[]): Value => {
  if (begin.every((b, i) => b === 0 && size[i] === x.shape[i])) return x
  const end = begin.map((b, i) => b + size[i]!)
  return node('Slice', [x, integers(begin), integers(end)], size, x.type)
}

const slice: Kernel = ({ x }, { begin, size }) => {
  const tensor = { shape: [...x!.shape], rank: x!.shape.length } as never
  const [from, extent] = tf.slice_util.parseSliceParams(tensor, begin, size)
  return cut(x!, from!, extent!)
}

const stridedSlice: Kernel = ({ x }, a) => {
  const info = tf.slice_util.sliceInfo(
    [...x!.shape],
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  )
  const shape = tf.slice_util.computeOutShape(info.begin, info.end, info.strides)
  if (shape.some((size) => size === 0)) return empty(info.finalShape, x!.type as Dtype)
  const axes = info.begin.map((_, i) => i)
  // An end before the first element is written as far below zero: ONNX counts -1 from the back.
  const end = info.end.map((e, i) => (info.strides[i]! < 0 && e < 0 ? -x!.shape[i]! - 1 : e))
  const inputs = [x!, integers(info.begin), integers(end), integers(axes), integers(info.strides)]
  return reshape(node('Slice', inputs, shape, x!.type), info.finalShape)
}

function concat(values: readonly Value[], axis: number): Value {
  const first = values[0]!
  const at = axisOf(first, axis)
  const shape = [...first.shape]
  shape[at] = values.reduce((sum, value) => sum + value.shape[at]!, 0)
  const parts = values.filter((value) => value.size > 0)
  if (parts.length === 1) return parts[0]!
  if (parts.length === 0) return empty(shape, first.type as Dtype)
  return node('Concat', parts, shape, first.type, { attributes: { axis: at } })
}

const pack: Kernel = ({ list }, { axis }) => {
  const rank = list[0]!.shape.length + 1
  const at = axis < 0 ? axis + rank : axis
  return concat(
    list.map((value) => reshape(value, [...value.shape.slice(0, at), 1, ...value.shape.slice(at)])),
    at,
  )
}

function split(x: Value, axis: number, sizes: readonly number[]): Value[] {
  if (sizes.length === 1) return [x]
  const outputs = sizes.map((size) => ({
    shape: x.shape.map((s, i) => (i === axis ? size : s)),
    type: x.type,
  }))
  return nodes('Split', [x, integers(sizes)], outputs, { attributes: { axis } })
}

const splitV: Kernel = ({ x }, { numOrSizeSplits, axis }) => {
  const at = axisOf(x!, axis)
  return split(
    x!,
    at,
    tf.backend_util.prepareSplitSize({ shape: [...x!.shape] } as never, numOrSizeSplits, at),
  )
}

const unpack: Kernel = ({ value }, { axis }) => {
  const at = axisOf(value!, axis)
  const parts = split(
    value!,
    at,
    Array.from({ length: value!.shape[at]! }, () => 1),
  )
  return parts.map((part) =>
    reshape(
      part,
      part.shape.filter((_, i) => i !== at),
    ),
  )
}

const pad: Kernel = ({ x }, { paddings, constantValue }) => {
  const pads = paddings as [number, number][]
  const shape = x!.shape.map((size, i) => size + pads[i]![0] + pads[i]![1])
  if (x!.size === 0) return filled(shape, constantValue, x!.type as Dtype)
  const before = pads.map(([b]) => b)
  const after = pads.map(([, a]) => a)
  return node('Pad', [x!, integers([...before, ...after]), scalar(constantValue, x!.type)], shape, x!.type)
}

/** Reflected elements are gathered, axis by axis: ONNX's Pad knows no symmetric mode. */
const mirrorPad: Kernel = ({ x }, { paddings, mode }) => {
  const offset = mode === 'reflect' ? 0 : 1
  return (paddings as [number, number][]).reduce((value, [before, after], axis) => {
    if (!before && !after) return value
    const size = value.shape[axis]!
    const at = Array.from({ length: size + before + after }, (_, i) => {
      const place = i - before
      if (place < 0) return -place - offset
      return place < size ? place : 2 * (size - 1) - place + offset
    })
    const shape = value.shape.map((s, i) => (i === axis ? at.length : s))
    return node('Gather', [value, integers(at)], shape, value.type, { attributes: { axis } })
  }, x!)
}

const tile: Kernel = ({ x }, { reps }) => {
  const times = reps as number[]
  const shape = x!.shape.map((size, i) => size * times[i]!)
  const broadcasts = times.every((r, i) => r === 1 || x!.shape[i] === 1)
  return broadcasts
    ? node('Expand', [x!, integers(shape)], shape, x!.type)
    : node('Tile', [x!, integers(times)], shape, x!.type)
}

const reverse: Kernel = ({ x }, { dims }) => {
  const axes = tf.util.parseAxisParam(dims, [...x!.shape])
  if (!axes.length) return x!
  const from = axes.map(() => -1)
  const to = axes.map((axis) => -x!.shape[axis]! - 1)
  return node(
    'Slice',
    [x!, integers(from), integers(to), integers(axes), integers(axes.map(() => -1))],
    x!.shape,
    x!.type,
  )
}

const range: Kernel = (_, { start, stop, step, dtype }) => {
  const count = Math.max(0, Math.ceil((stop - start) / step))
  return known(
    Array.from({ length: count }, (_, i) => start + i * step),
    [count],
    dtype,
  )
}

const linSpace: Kernel = (_, { start, stop, num }) => {
  const step = (stop - start) / (num - 1)
  return known(
    Array.from({ length: num }, (_, i) => start + i * step),
    [num],
    'float32',
  )
}

/** [n] to [n, n]: rows of n + 1 elements, of which the first is x's, laid one after the other. */
const diag: Kernel = ({ x }) => {
  const size = x!.size
  const rows = node(
    'Pad',
    [reshape(x!, [size, 1]), integers([0, 0, 0, size]), scalar(0, x!.type)],
    [size, size + 1],
    x!.type,
  )
  const flat = cut(reshape(rows, [size * (size + 1)]), [0], [size * size])
  return reshape(flat, [...x!.shape, ...x!.shape])
}

const castTo: Kernel = ({ x }, { dtype }) => cast(x!, dtype as Dtype)

export const shaping: KernelTable = {
  Reshape: ({ x }, { shape }) => reshape(x!, tf.util.inferFromImplicitShape(shape, x!.size)),
  ExpandDims: ({ input }, { dim }) => {
    const at = dim < 0 ? dim + input!.shape.length + 1 : dim
    return reshape(input!, [...input!.shape.slice(0, at), 1, ...input!.shape.slice(at)])
  },
  Transpose: ({ x }, { perm }) => transpose(x!, perm),
  Cast: castTo,
  Slice: slice,
  StridedSlice: stridedSlice,
  Concat: ({ list }, { axis }) => concat(list, axis),
  Pack: pack,
  Unpack: unpack,
  SplitV: splitV,
  PadV2: pad,
  MirrorPad: mirrorPad,
  Diag: diag,
  Tile: tile,
  BroadcastTo: ({ x }, { shape }) => node('Expand', [x!, integers(shape)], shape, x!.type),
  Reverse: reverse,
  Fill: (_, { shape, value, dtype }) => filled(shape, value, dtype ?? 'float32'),
  ZerosLike: ({ x }) => filled(x!.shape, 0, x!.type as Dtype),
  OnesLike: ({ x }) => filled(x!.shape, 1, x!.type as Dtype),
  Range: range,
  LinSpace: linSpace,
}
