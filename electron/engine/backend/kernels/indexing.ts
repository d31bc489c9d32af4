import { cast, filled, integers, node, reshape, scalar, transpose } from '../builder'
import type { Dtype, Value } from '../graph'
import { known } from '../known'
import { tf } from '../tf'
import type { Kernel, KernelTable } from './table'

/** Kernels that find elements by index, or put them there. */

const gather: Kernel = ({ x, indices }, { axis, batchDims }) => {
  const at = tf.util.parseAxisParam(axis, [...x!.shape])[0]!
  if (batchDims) return gatherBatches(x!, indices!, at, batchDims)
  const shape = [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)]
  return node('Gather', [x!, cast(indices!, 'int32')], shape, x!.type, { attributes: { axis: at } })
}

/** Each batch gathers by its own indices: its rows are found by their place in all batches laid one after the other. */
function gatherBatches(x: Value, indices: Value, axis: number, batchDims: number): Value {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1)
  const batches = product(x.shape.slice(0, batchDims))
  const [outer, inner] = [x.shape.slice(batchDims, axis), x.shape.slice(axis + 1)]
  const [count, chosen] = [x.shape[axis]!, product(indices.shape.slice(batchDims))]
  const [before, after] = [product(outer), product(inner)]
  const rows = reshape(transpose(reshape(x, [batches, before, count, after]), [0, 2, 1, 3]), [
    batches * count,
    before,
    after,
  ])
  const offsets = known(
    Array.from({ length: batches }, (_, i) => i * count),
    [batches, 1],
    'int32',
  )
  const local = reshape(cast(indices, 'int32'), [batches, chosen])
  const places = node('Add', [local, offsets], [batches, chosen], 'int32')
  const attributes = { axis: 0 }
  const found = node('Gather', [rows, places], [batches, chosen, before, after], x.type, { attributes })
  const shape = [...x.shape.slice(0, batchDims), ...outer, ...indices.shape.slice(batchDims), ...inner]
  return reshape(transpose(found, [0, 2, 1, 3]), shape)
}

const gatherNd: Kernel = ({ params, indices }) => {
  const depth = indices!.shape.at(-1)!
  const shape = [...indices!.shape.slice(0, -1), ...params!.shape.slice(depth)]
  return node('GatherND', [params!, cast(indices!, 'int64')], shape, params!.type)
}

const zeros = (shape: readonly number[], type: Dtype) =>
  node('Expand', [scalar(0, type), integers(shape)], shape, type)

/**
 * The target with updates added at rows that indices name, the same row any number of times. ScatterND with the
 * reduction `add` lets threads race for a row that is named twice: its sums round differently from run to run.
 * ScatterElements adds in order.
 *
 * @param indices [..., depth], each an index into the first `depth` axes of the target
 * @param updates [..., the target's other axes]
 */
export function scatterAdd(target: Value, indices: Value, updates: Value): Value {
  const depth = indices.shape.at(-1)!
  const outer = target.shape.slice(0, depth)
  const rows = outer.reduce((a, b) => a * b, 1)
  const width = target.size / rows
  const count = updates.size / width
  const strides = outer.map((_, i) => outer.slice(i + 1).reduce((a, b) => a * b, 1))
  const places = cast(reshape(indices, [count, depth]), 'int64')
  const row =
    depth === 1
      ? places
      : node(
          'ReduceSum',
          [node('Mul', [places, integers(strides)], places.shape, 'int64'), integers([1])],
          [count, 1],
          'int64',
          { attributes: { keepdims: 1 } },
        )
  const spread = width === 1 ? row : node('Expand', [row, integers([count, width])], [count, width], 'int64')
  const inputs = [reshape(target, [rows, width]), spread, reshape(updates, [count, width])]
  const attributes = { axis: 0, reduction: 'add' }
  return reshape(node('ScatterElements', inputs, [rows, width], target.type, { attributes }), target.shape)
}

const scatterNd: Kernel = ({ indices, updates }, { shape }) => {
  const target = zeros(shape, updates!.type as Dtype)
  return updates!.size === 0 ? target : scatterAdd(target, indices!, updates!)
}

/** Rows of a negative segment are dropped: they are added to a row more, which is cut off. */
const unsortedSegmentSum: Kernel = ({ x, segmentIds }, { numSegments }) => {
  const ids = cast(segmentIds!, 'int32')
  const shape = [numSegments as number, ...x!.shape.slice(ids.shape.length)]
  if (x!.size === 0) return zeros(shape, x!.type as Dtype)
  const inside = ids.data?.every((id) => id >= 0)
  const target = zeros(inside ? shape : [numSegments + 1, ...shape.slice(1)], x!.type as Dtype)
  const kept = inside ? ids : segmentsOrBeyond(ids, numSegments)
  const added = scatterAdd(target, reshape(kept, [...ids.shape, 1]), x!)
  const none = integers(shape.map(() => 0))
  const sum = inside ? added : node('Slice', [added, none, integers(shape)], shape, added.type)
  if (ids.data && sum.type === 'float32') sum.rowSum = { places: ids.data, updates: x! }
  return sum
}

function segmentsOrBeyond(ids: Value, beyond: number): Value {
  const negative = node('Less', [ids, scalar(0, 'int32')], ids.shape, 'bool')
  return node('Where', [negative, scalar(beyond, 'int32'), ids], ids.shape, 'int32')
}

const tensorScatterUpdate: Kernel = ({ tensor, indices, updates }) =>
  updates!.size === 0
    ? tensor!
    : node('ScatterND', [tensor!, cast(indices!, 'int64'), updates!], tensor!.shape, tensor!.type)

const oneHot: Kernel = ({ indices }, { depth, onValue, offValue, dtype }) => {
  const shape = [...indices!.shape, depth as number]
  const values = known([offValue, onValue], [2], 'float32')
  const inputs = [cast(indices!, 'int64'), scalar(depth, 'int64'), values]
  const hot = node('OneHot', inputs, shape, 'float32', { attributes: { axis: -1 } })
  // ONNX counts negative indices from the back; tfjs makes a row of offValue of them.
  const valid = node(
    'GreaterOrEqual',
    [reshape(indices!, [...indices!.shape, 1]), scalar(0, 'int32')],
    [...indices!.shape, 1],
    'bool',
  )
  const off = filled([], offValue, 'float32')
  return cast(node('Where', [valid, hot, off], shape, 'float32'), dtype as Dtype)
}

/** Indices are scalars, places on one axis, or rows of a place each; later ones of the same place win. */
const sparseToDense: Kernel = ({ sparseIndices, sparseValues, defaultValue }, { outputShape }) => {
  const shape = outputShape as number[]
  const depth = shape.length
  const count = sparseIndices!.shape.length === 0 ? 1 : sparseIndices!.shape[0]!
  const target = node('Expand', [defaultValue!, integers(shape)], shape, sparseValues!.type)
  if (!count) return target
  const values = node('Expand', [sparseValues!, integers([count])], [count], sparseValues!.type)
  const places = reshape(cast(sparseIndices!, 'int64'), [count, depth])
  return node('ScatterND', [target, places, values], shape, sparseValues!.type)
}

/** How often each whole number below `size` comes, or the sum of its weights; per row where x has rows. */
const bincount: Kernel = ({ x, weights }, { size, binaryOutput }) => {
  const type = weights!.type as Dtype
  const rows = x!.shape.length === 2 ? x!.shape[0]! : 1
  const shape = [rows, size as number]
  const result = x!.shape.length === 2 ? shape : [size as number]
  if (x!.size === 0) return filled(result, 0, type)
  // Numbers beyond the last bin go into one of their own, which is cut.
  const clamped = node('Min', [cast(x!, 'int64'), scalar(size, 'int64')], x!.shape, 'int64')
  const offsets = Array.from({ length: rows }, (_, i) => i * (size + 1))
  const columns = x!.size / rows
  const places = node(
    'Add',
    [reshape(clamped, [rows, columns]), reshape(integers(offsets), [rows, 1])],
    [rows, columns],
    'int64',
  )
  const one = node('Expand', [scalar(1, type), integers([x!.size])], [x!.size], type)
  const updates = weights!.size && !binaryOutput ? reshape(weights!, [x!.size]) : one
  const flat = scatterAdd(zeros([rows * (size + 1)], type), reshape(places, [x!.size, 1]), updates)
  const bins = reshape(flat, [rows, size + 1])
  const counts = node('Slice', [bins, integers([0, 0]), integers(shape)], shape, type)
  const found = binaryOutput ? node('Min', [counts, scalar(1, type)], shape, type) : counts
  return reshape(found, result)
}

/** Before (`left`) or after (`right`) equals: the number of elements below, or not above. */
const searchSorted: Kernel = ({ sortedSequence, values }, { side }) => {
  const [rows, length] = sortedSequence!.shape as [number, number]
  const count = values!.shape[1]!
  const sequence = reshape(sortedSequence!, [rows, 1, length])
  const wanted = reshape(values!, [rows, count, 1])
  const shape = [rows, count, length]
  const below = node(side === 'left' ? 'Less' : 'LessOrEqual', [sequence, wanted], shape, 'bool')
  return node('ReduceSum', [cast(below, 'int32'), integers([2])], [rows, count], 'int32', {
    attributes: { keepdims: 0 },
  })
}

export const indexing: KernelTable = {
  GatherV2: gather,
  GatherNd: gatherNd,
  ScatterNd: scatterNd,
  UnsortedSegmentSum: unsortedSegmentSum,
  TensorScatterUpdate: tensorScatterUpdate,
  OneHot: oneHot,
  SparseToDense: sparseToDense,
  Bincount: bincount,
  DenseBincount: bincount,
  SearchSorted: searchSorted,
}
