import { cast, filled, integers, node, nodes, scalar } from '../builder'
import type { Dtype, Value } from '../graph'
import { tf } from '../tf'
import type { Kernel, KernelTable } from './table'

/** Kernels that reduce, order or normalise along axes. */

interface Reduced {
  axes: number[]
  shape: number[]
}

function reduced(x: Value, axis: number | number[], keepDims: boolean): Reduced {
  const axes = tf.util.parseAxisParam(axis, [...x.shape])
  const shape = x.shape.flatMap((size, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [size]))
  return { axes, shape }
}

/** `ofNothing`: the result where there is nothing to reduce. */
function reduction(name: string, ofNothing: number): Kernel {
  // tfjs calls the axes of Max `reductionIndices`, those of all others `axis`.
  return ({ x }, { axis, reductionIndices, keepDims }) => {
    const { axes, shape } = reduced(x!, axis ?? reductionIndices, keepDims)
    const value = x!.type === 'bool' ? cast(x!, 'int32') : x!
    if (!axes.length) return value
    if (value.size === 0) return filled(shape, ofNothing, value.type as Dtype)
    const attributes = { keepdims: keepDims ? 1 : 0 }
    return node(name, [value, integers(axes)], shape, value.type, { attributes })
  }
}

/** The mean of integers is a float, as in tfjs. */
const mean: Kernel = ({ x, list }, attributes) =>
  reduction('ReduceMean', NaN)({ x: cast(x!, 'float32'), list } as never, attributes)

function truth(name: string, ofNothing: number): Kernel {
  return ({ x, list }, attributes) => {
    const numbers = cast(cast(x!, 'bool'), 'int32')
    return cast(reduction(name, ofNothing)({ x: numbers, list } as never, attributes) as Value, 'bool')
  }
}

/** ONNX Runtime passes over numbers that are none; tfjs and TensorFlow give them. Booleans stay what they are. */
function extreme(name: string, ofNothing: number): Kernel {
  const plain = reduction(name, ofNothing)
  return (inputs, attributes) => {
    const x = inputs.x!
    const value = plain(inputs, attributes) as Value
    if (x.type === 'bool') return cast(value, 'bool')
    if (x.type !== 'float32' || value === x || x.size === 0) return value
    const none = node('IsNaN', [x], x.shape, 'bool')
    const any = reduction('ReduceMax', 0)({ x: none, list: [none] } as never, attributes) as Value
    return node('Where', [cast(any, 'bool'), scalar(NaN, 'float32'), value], value.shape, 'float32')
  }
}

function argument(name: string): Kernel {
  return ({ x }, { axis }) => {
    const { axes, shape } = reduced(x!, axis, false)
    const attributes = { axis: axes[0]!, keepdims: 0 }
    const value = x!.type === 'bool' ? cast(x!, 'int32') : x!
    return cast(node(name, [value], shape, 'int64', { attributes }), 'int32')
  }
}

function normalise(name: string): Kernel {
  return ({ logits }) => {
    if (logits!.shape.length === 0) return filled([], name === 'Softmax' ? 1 : 0, 'float32')
    return node(name, [logits!], logits!.shape, 'float32', { attributes: { axis: -1 } })
  }
}

/** x - max - log(sum(exp(x - max))): the WebGPU provider has no LogSoftmax, it would go to the CPU. */
const logSoftmaxOfParts: Kernel = ({ logits }) => {
  const x = logits!
  if (x.shape.length === 0) return filled([], 0, 'float32')
  const row = [...x.shape.slice(0, -1), 1]
  const last = integers([x.shape.length - 1])
  const below = node('Sub', [x, node('ReduceMax', [x, last], row, 'float32')], x.shape, 'float32')
  const sum = node('ReduceSum', [node('Exp', [below], x.shape, 'float32'), last], row, 'float32')
  return node('Sub', [below, node('Log', [sum], row, 'float32')], x.shape, 'float32')
}

const cumulativeSum: Kernel = ({ x }, { axis, exclusive, reverse }) => {
  const attributes = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 }
  const at = scalar(tf.util.parseAxisParam(axis, [...x!.shape])[0]!, 'int32')
  return node('CumSum', [x!, at], x!.shape, x!.type, { attributes })
}

/** ONNX has no running product: log2(n) times, each element takes in the one twice as far behind. */
const cumulativeProduct: Kernel = ({ x }, { axis, exclusive, reverse }) => {
  const at = tf.util.parseAxisParam(axis, [...x!.shape])[0]!
  const size = x!.shape[at]!
  let value = exclusive ? behind(x!, at, 1, reverse) : x!
  for (let distance = 1; distance < size; distance *= 2) {
    value = node('Mul', [value, behind(value, at, distance, reverse)], x!.shape, x!.type)
  }
  return value
}

/** Each element's neighbour `distance` places before it, or after it; 1 where there is none. */
function behind(x: Value, axis: number, distance: number, after: boolean): Value {
  const pads = x.shape.map((_, i) => (i === axis ? distance : 0))
  const none = pads.map(() => 0)
  const shape = x.shape.map((size, i) => size + pads[i]!)
  const ends = after ? [...none, ...pads] : [...pads, ...none]
  const padded = node('Pad', [x, integers(ends), scalar(1, x.type)], shape, x.type)
  const begin = after ? pads : none
  const end = begin.map((b, i) => b + x.shape[i]!)
  return node('Slice', [padded, integers(begin), integers(end)], x.shape, x.type)
}

const topK: Kernel = ({ x }, { k, sorted }) => {
  const shape = [...x!.shape.slice(0, -1), k as number]
  const attributes = { axis: -1, largest: 1, sorted: sorted ? 1 : 0 }
  const outputs = [
    { shape, type: x!.type },
    { shape, type: 'int64' as const },
  ]
  const [values, indices] = nodes('TopK', [x!, integers([k])], outputs, { attributes })
  return [values!, cast(indices!, 'int32')]
}

export const reductions: KernelTable = {
  Sum: reduction('ReduceSum', 0),
  Mean: mean,
  Prod: reduction('ReduceProd', 1),
  Max: extreme('ReduceMax', -Infinity),
  Min: extreme('ReduceMin', Infinity),
  All: truth('ReduceMin', 1),
  Any: truth('ReduceMax', 0),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  Softmax: normalise('Softmax'),
  LogSoftmax: normalise('LogSoftmax'),
  Cumsum: cumulativeSum,
  Cumprod: cumulativeProduct,
  TopK: topK,
}

export const reductionsOnWebgpu: KernelTable = { LogSoftmax: logSoftmaxOfParts }
