import { filled, node, transpose } from '../builder'
import type { Value } from '../graph'
import { tf } from '../tf'
import { activate } from './activation'
import type { Kernel, KernelTable } from './table'

/** Matrix products. */

type Product = (a: Value, b: Value, transposeA: boolean, transposeB: boolean) => Value

/**
 * a b over the last two axes, the others broadcast. ONNX has no transposed product; FusedMatMul of ONNX Runtime's
 * own domain multiplies without a transposed copy.
 */
const matMul: Product = (a, b, transposeA, transposeB) => {
  const shape = productShape(a, b, transposeA, transposeB)
  if (nothingToAdd(a, transposeA)) return filled(shape, 0, 'float32')
  if (!transposeA && !transposeB) return node('MatMul', [a, b], shape, 'float32')
  const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 }
  return node('FusedMatMul', [a, b], shape, 'float32', { attributes, domain: 'com.microsoft' })
}

/**
 * The same for the WebGPU provider, which has no FusedMatMul: it would go to the CPU, its operands copied there and
 * its result back. Gemm transposes matrices; of more axes it knows nothing.
 */
const matMulOnWebgpu: Product = (a, b, transposeA, transposeB) => {
  const shape = productShape(a, b, transposeA, transposeB)
  if (nothingToAdd(a, transposeA)) return filled(shape, 0, 'float32')
  if (!transposeA && !transposeB) return node('MatMul', [a, b], shape, 'float32')
  if (a.shape.length === 2 && b.shape.length === 2) {
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 }
    return node('Gemm', [a, b], shape, 'float32', { attributes })
  }
  const operands = [transposeA ? turned(a) : a, transposeB ? turned(b) : b]
  return node('MatMul', operands, shape, 'float32')
}

function productShape(a: Value, b: Value, transposeA: boolean, transposeB: boolean): number[] {
  const rows = a.shape.at(transposeA ? -1 : -2)!
  const columns = b.shape.at(transposeB ? -2 : -1)!
  const batch = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  return [...batch, rows, columns]
}

/** Sums over an axis of length 0. */
function nothingToAdd(a: Value, transposeA: boolean): boolean {
  return a.shape.at(transposeA ? -2 : -1) === 0
}

function turned(x: Value): Value {
  const axes = x.shape.map((_, i) => i)
  return transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!])
}

function products(product: Product): KernelTable {
  return {
    BatchMatMul: ({ a, b }, { transposeA, transposeB }) => product(a!, b!, transposeA, transposeB),
    _FusedMatMul: ({ a, b, bias, preluActivationWeights }, attributes) => {
      let result = product(a!, b!, attributes.transposeA, attributes.transposeB)
      if (bias) result = node('Add', [result, bias], result.shape, 'float32')
      return activate(result, attributes, preluActivationWeights)
    },
  }
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

export const linear: KernelTable = { ...products(matMul), Einsum: einsum }

export const linearOnWebgpu = products(matMulOnWebgpu)
