import { Value, type Attributes, type Data, type Dtype, type OnnxType, type Operation } from './graph'
import { known } from './known'

/** Records values of the lazy graph. The kernels are written with these few verbs. */

export interface NodeOptions {
  attributes?: Attributes
  domain?: string
}

/** One operator with one output. */
export function node(
  name: string,
  inputs: readonly (Value | undefined)[],
  shape: readonly number[],
  type: OnnxType,
  options: NodeOptions = {},
): Value {
  return nodes(name, inputs, [{ shape, type }], options)[0]!
}

/** One operator with several outputs. */
export function nodes(
  name: string,
  inputs: readonly (Value | undefined)[],
  outputs: readonly { shape: readonly number[]; type: OnnxType }[],
  { attributes = {}, domain = '' }: NodeOptions = {},
): Value[] {
  const values = outputs.map(({ shape, type }) => new Value(shape, type))
  const operation: Operation = { name, domain, inputs, attributes, outputs: values }
  for (const value of values) value.op = operation
  return values
}

/** int64 numbers that belong to the structure: shapes, axes, bounds. */
export function integers(values: readonly number[]): Value {
  const value = new Value([values.length], 'int64')
  const bytes = Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer)
  value.constant = { key: `i${values.join()}`, bytes }
  return value
}

/** A scalar that belongs to the structure: the 0 of a ReLU, the 1 of log1p. */
export function scalar(number: number, type: OnnxType): Value {
  const value = new Value([], type)
  value.constant = { key: `${type}:${number}`, bytes: scalarBytes(number, type) }
  return value
}

function scalarBytes(number: number, type: OnnxType): Uint8Array {
  if (type === 'int64') return Buffer.from(BigInt64Array.of(BigInt(number)).buffer)
  if (type === 'float32') return Buffer.from(Float32Array.of(number).buffer)
  if (type === 'int32') return Buffer.from(Int32Array.of(number).buffer)
  return Uint8Array.of(number)
}

/** A value with the same number everywhere; the number is an input and may change from step to step. */
export function filled(shape: readonly number[], number: number, type: Dtype): Value {
  const size = shape.reduce((a, b) => a * b, 1)
  if (size <= 1)
    return known(
      Array.from({ length: size }, () => number),
      shape,
      type,
    )
  return node('Expand', [known([number], [], type), integers(shape)], shape, type)
}

/** The empty value of a shape with a 0 in it. */
export function empty(shape: readonly number[], type: Dtype): Value {
  return known([], shape, type)
}

export function cast(value: Value, type: OnnxType): Value {
  if (value.type === type) return value
  return node('Cast', [value], value.shape, type, { attributes: { to: CAST_TO[type] } })
}

const CAST_TO: Record<OnnxType, number> = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 }

export function reshape(value: Value, shape: readonly number[]): Value {
  if (value.data) return withShape(value, shape, value.data)
  if (shape.join() === value.shape.join()) return value
  // One view of what a view is of: ONNX Runtime would make one of two as well, and forget about their order.
  const from = value.op?.name === 'Reshape' ? value.op.inputs[0]! : value
  if (shape.join() === from.shape.join()) return from
  return node('Reshape', [from, integers(shape)], shape, value.type)
}

function withShape(value: Value, shape: readonly number[], data: Data): Value {
  const view = new Value(shape, value.type)
  view.data = data
  view.shared = value.shared = true
  return view
}

export function transpose(value: Value, perm: readonly number[]): Value {
  if (perm.every((axis, i) => axis === i)) return value
  const shape = perm.map((axis) => value.shape[axis]!)
  return node('Transpose', [value], shape, value.type, { attributes: { perm } })
}
