import { cast, integers, node, reshape, scalar, transpose } from '../builder'
import type { Value } from '../graph'
import type { Kernel, KernelTable } from './table'

/** Products in 8 bits, of ONNX Runtime's CPU provider (see ../quantised). */

/** What 0 is as an unsigned number of 8 bits. */
const ZERO = 128
const LARGEST = 127
/** A row of zeros has no size to divide by. */
const TINY = 1e-30

const quantiseRows: Kernel = ({ x }) => {
  const rows = [x!.shape[0]!, 1]
  const float = (name: string, inputs: Value[], shape: readonly number[]) =>
    node(name, inputs, shape, 'float32')
  const size = float('ReduceMax', [float('Abs', [x!], x!.shape), integers([1])], rows)
  const largest = float('Max', [size, scalar(TINY, 'float32')], rows)
  const inverse = float('Div', [scalar(LARGEST, 'float32'), largest], rows)
  const scaled = float('Mul', [x!, inverse], x!.shape)
  const inputs = [scaled, scalar(1, 'float32'), scalar(ZERO, 'uint8')]
  const quantised = node('QuantizeLinear', inputs, x!.shape, 'uint8')
  return [quantised, float('Div', [largest, scalar(LARGEST, 'float32')], rows)]
}

const quantisedMatMul: Kernel = ({ rows, sizes, weight, scale }) => {
  const shape = [rows!.shape[0]!, weight!.shape[1]!]
  const inputs = [rows!, weight!, scalar(1, 'float32'), scale!, scalar(ZERO, 'uint8')]
  const product = node('MatMulIntegerToFloat', inputs, shape, 'float32', { domain: 'com.microsoft' })
  return node('Mul', [product, sizes!], shape, 'float32')
}

const quantisedColumns: Kernel = ({ weight, scale, ids }) => {
  const [width, tokens] = [weight!.shape[0]!, ids!.size]
  const columns = node('Gather', [weight!, ids!], [width, tokens], 'int8', { attributes: { axis: 1 } })
  const factors = node('Gather', [scale!, ids!], [tokens], 'float32', { attributes: { axis: 0 } })
  const rows = transpose(cast(columns, 'float32'), [1, 0])
  return node('Mul', [rows, reshape(factors, [tokens, 1])], [tokens, width], 'float32')
}

export const quantised: KernelTable = {
  QuantiseRows: quantiseRows,
  QuantisedMatMul: quantisedMatMul,
  QuantisedColumns: quantisedColumns,
}
