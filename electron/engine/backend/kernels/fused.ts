import { integers, node, nodes, reshape, scalar } from '../builder'
import type { Value } from '../graph'
import type { Kernel, KernelTable } from './table'

/**
 * Kernels that tfjs does not know: one operator of ONNX Runtime for what would be a chain of element-wise ones. The
 * layers ask for them by name and take plain operations where a backend has none (`fusedKernel` in ../fused).
 */

/** x / sqrt(mean(x^2) + epsilon) * gain over the last axis; also the reciprocal root, for the gradient. */
const rmsNormalization: Kernel = ({ x, gain }, { epsilon }) => {
  const rows = [...x!.shape.slice(0, -1), 1]
  const outputs = [
    { shape: x!.shape, type: 'float32' as const },
    { shape: rows, type: 'float32' as const },
  ]
  const attributes = { axis: -1, stash_type: 1, epsilon: { float: epsilon as number } }
  return nodes('SimplifiedLayerNormalization', [x!, gain!], outputs, { attributes })
}

/** (x - mean) / sqrt(variance + epsilon) * gain + bias over the last axis; also mean and reciprocal deviation. */
const layerNormalization: Kernel = ({ x, gain, bias }, { epsilon }) => {
  const rows = [...x!.shape.slice(0, -1), 1]
  const outputs = [x!.shape, rows, rows].map((shape) => ({ shape, type: 'float32' as const }))
  const attributes = { axis: -1, epsilon: { float: epsilon as number } }
  return nodes('LayerNormalization', [x!, gain!, bias!], outputs, { attributes })
}

/**
 * The product of each row of a with that of b, [rows, columns] each, summed up: [rows, 1]. As products of a row with a
 * column it is one pass, in threads; multiplied and summed up it is two, with a table between.
 */
const rowDot: Kernel = ({ a, b }) => {
  const [rows, columns] = a!.shape as [number, number]
  const batches = [a!, b!].map((x) => reshape(x, [rows, 1, columns]))
  const attributes = { transA: 0, transB: 1 }
  const products = node('FusedMatMul', batches, [rows, 1, 1], 'float32', {
    attributes,
    domain: 'com.microsoft',
  })
  return reshape(products, [rows, 1])
}

/** The same for the WebGPU provider, which has no FusedMatMul. */
const rowDotApart: Kernel = ({ a, b }) => {
  const product = node('Mul', [a!, b!], a!.shape, 'float32')
  return node('ReduceSum', [product, integers([1])], [a!.shape[0]!, 1], 'float32')
}

/** x * sigmoid(x) */
const swish: Kernel = ({ x }) =>
  node('QuickGelu', [x!], x!.shape, 'float32', {
    attributes: { alpha: { float: 1 } },
    domain: 'com.microsoft',
  })

/**
 * Rotary positions, the halves of a head rotated against each other (Hugging Face's convention).
 * x [batch, heads, time, size]; cosine and sine [time, size], or of each sequence [batch, 1, time, size], both halves
 * alike
 */
const rotary: Kernel = ({ x, cosine, sine }) => {
  const [batch, , time] = x!.shape as [number, number, number]
  const size = cosine!.shape.at(-1)!
  const ofEach = cosine!.shape.length === 4
  const rows = ofEach ? batch * time : time
  const half = (table: Value) => {
    // Not the builder's: of a known table that would be one more input of the graph for each layer.
    const flat = ofEach ? node('Reshape', [table, integers([rows, size])], [rows, size], 'float32') : table
    return node('Slice', [flat, integers([0, 0]), integers([rows, size / 2])], [rows, size / 2], 'float32')
  }
  const places = ofEach
    ? reshape(integers(Array.from({ length: rows }, (_, i) => i)), [batch, time])
    : integers([0])
  return node('RotaryEmbedding', [x!, places, half(cosine!), half(sine!)], x!.shape, 'float32', {
    attributes: { interleaved: 0 },
    domain: 'com.microsoft',
  })
}

/** As above; the reciprocal root apart: ONNX Runtime 1.30's WebGPU provider gives it wrongly (y is right). */
const rmsNormalizationApart: Kernel = ({ x, gain }, { epsilon }) => {
  const rows = [...x!.shape.slice(0, -1), 1]
  const attributes = { axis: -1, stash_type: 1, epsilon: { float: epsilon as number } }
  const y = node('SimplifiedLayerNormalization', [x!, gain!], x!.shape, 'float32', { attributes })
  const square = node('Mul', [x!, x!], x!.shape, 'float32')
  const mean = node('ReduceMean', [square, integers([x!.shape.length - 1])], rows, 'float32')
  const root = node(
    'Sqrt',
    [node('Add', [mean, scalar(epsilon as number, 'float32')], rows, 'float32')],
    rows,
    'float32',
  )
  return [y, node('Reciprocal', [root], rows, 'float32')]
}

export const fused: KernelTable = {
  RmsNormalization: rmsNormalization,
  LayerNormalization: layerNormalization,
  Swish: swish,
  RowDot: rowDot,
  RotaryEmbedding: rotary,
}

export const fusedOnWebgpu: KernelTable = {
  RmsNormalization: rmsNormalizationApart,
  RowDot: rowDotApart,
}
