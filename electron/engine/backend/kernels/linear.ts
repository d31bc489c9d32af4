import { filled, node } from '../builder'
import type { Value } from '../graph'
import { tf } from '../tf'
import { activate } from './activation'
import type { Kernel, KernelTable } from './table'

/** Matrix products. */

/**
 * a b over the last two axes, the others broadcast. ONNX has no transposed product; FusedMatMul of ONNX Runtime's
 * own domain multiplies without a transposed copy.
 */
export function matMul(a: Value, b: Value, transposeA: boolean, transposeB: boolean): Value {
  const rows = a.shape.at(transposeA ? -1 : -2)!
  const inner = a.shape.at(transposeA ? -2 : -1)!
  const columns = b.shape.at(transposeB ? -2 : -1)!
  const batch = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const shape = [...batch, rows, columns]
  if (inner === 0) return filled(shape, 0, 'float32')
  if (!transposeA && !transposeB) return node('MatMul', [a, b], shape, 'float32')
  const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 }
  return node('FusedMatMul', [a, b], shape, 'float32', { attributes, domain: 'com.microsoft' })
}

const batchMatMul: Kernel = ({ a, b }, { transposeA, transposeB }) => matMul(a!, b!, transposeA, transposeB)

const fusedMatMul: Kernel = ({ a, b, bias, preluActivationWeights }, attributes) => {
  let result = matMul(a!, b!, attributes.transposeA, attributes.transposeB)
  if (bias) result = node('Add', [result, bias], result.shape, 'float32')
  return activate(result, attributes, preluActivationWeights)
}

const einsum: Kernel = ({ list }, { equation }) => {
  const { allDims, summedDims, idDims } = tf.backend_util.decodeEinsumEquation(equation, list.length)
  const sizes: number[] = []
  for (const [i, dims] of idDims.entries())
    for (const [j, dim] of dims.entries()) sizes[dim] = list[i]!.shape[j]!
  const shape = allDims
    .map((_, dim) => dim)
    .filter((dim) => !summedDims.includes(dim))
    .map((dim) => sizes[dim]!)
  return node('Einsum', list, shape, 'float32', {
    attributes: { equation: String(equation).replaceAll(' ', '') },
  })
}

export const linear: KernelTable = {
  BatchMatMul: batchMatMul,
  _FusedMatMul: fusedMatMul,
  Einsum: einsum,
}
