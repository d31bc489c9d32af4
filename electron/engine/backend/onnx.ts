import { outputName, type Graph, type OnnxType, type Value } from './graph'
import type { OnnxAttributes, OnnxModel, OnnxNode, OnnxTensor, ValueInfo } from './onnxModel'
import { inOrder } from './order'
import { ProtoWriter } from './protobuf'

/** Operator set 18: axes of reductions are inputs, scatters add up. */
const OPSET = 18
const IR_VERSION = 9

/** TensorProto.DataType of onnx.proto. */
export const TYPE: Record<OnnxType | 'float64', number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
}

/** AttributeProto.AttributeType of onnx.proto. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 } as const

/** Encodes a graph of the backend as a serialised ONNX ModelProto. */
export function encodeModel(graph: Graph): Uint8Array {
  return encodeOnnx(inOrder(toModel(graph)))
}

/** A graph of the backend as ONNX has it. */
export function toModel(graph: Graph): OnnxModel {
  const name = (value: Value) => graph.names.get(value)!
  const info = (value: Value) => ({ name: name(value), type: value.type, shape: value.shape })
  return {
    nodes: graph.nodes.map((op, at) => ({
      name: op.name,
      domain: op.domain,
      inputs: op.inputs.map((input) => (input ? name(input) : '')),
      outputs: op.outputs.map((_, i) => outputName(at, i)),
      attributes: op.attributes,
    })),
    initialisers: graph.constants.map((value) => ({ ...info(value), bytes: value.constant!.bytes })),
    inputs: graph.leaves.map(info),
    outputs: graph.outputs.map(info),
  }
}

/** Serialises a ModelProto. Field numbers are those of onnx.proto (onnx 1.14). */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const proto = new ProtoWriter()
  proto.integer(1, IR_VERSION)
  proto.string(2, 'retort')
  proto.message(7, () => {
    for (const node of model.nodes) proto.message(1, () => encodeNode(proto, node))
    proto.string(2, 'retort')
    for (const tensor of model.initialisers) proto.message(5, () => encodeTensor(proto, tensor))
    for (const value of model.inputs) proto.message(11, () => encodeValueInfo(proto, value))
    for (const value of model.outputs) proto.message(12, () => encodeValueInfo(proto, value))
  })
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    if (domain && !model.nodes.some((node) => node.domain === domain)) continue
    proto.message(8, () => {
      proto.string(1, domain)
      proto.integer(2, version)
    })
  }
  for (const [key, value] of Object.entries(model.metadata ?? {})) {
    proto.message(14, () => {
      proto.string(1, key)
      proto.string(2, value)
    })
  }
  return proto.finish()
}

function encodeNode(proto: ProtoWriter, { name, domain, inputs, outputs, attributes }: OnnxNode): void {
  for (const input of inputs) proto.string(1, input)
  for (const output of outputs) proto.string(2, output)
  proto.string(4, name)
  encodeAttributes(proto, attributes ?? {})
  if (domain) proto.string(7, domain)
}

function encodeAttributes(proto: ProtoWriter, attributes: OnnxAttributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    proto.message(5, () => {
      proto.string(1, key)
      encodeAttribute(proto, value)
    })
  }
}

function encodeAttribute(proto: ProtoWriter, value: OnnxAttributes[string]): void {
  if (typeof value === 'number') {
    proto.integer(3, value)
    proto.integer(20, ATTRIBUTE.int)
  } else if (typeof value === 'string') {
    proto.string(4, value)
    proto.integer(20, ATTRIBUTE.string)
  } else if ('float' in value) {
    proto.float(2, value.float)
    proto.integer(20, ATTRIBUTE.float)
  } else if ('tensor' in value) {
    proto.message(5, () => encodeTensor(proto, value.tensor))
    proto.integer(20, ATTRIBUTE.tensor)
  } else {
    proto.integers(8, value)
    proto.integer(20, ATTRIBUTE.ints)
  }
}

function encodeTensor(proto: ProtoWriter, { name, type, shape, bytes }: OnnxTensor): void {
  proto.integers(1, shape)
  proto.integer(2, TYPE[type])
  proto.string(8, name)
  proto.raw(9, bytes)
}

function encodeValueInfo(proto: ProtoWriter, { name, type, shape }: ValueInfo): void {
  proto.string(1, name)
  proto.message(2, () => {
    proto.message(1, () => {
      proto.integer(1, TYPE[type])
      proto.message(2, () => {
        for (const size of shape) {
          proto.message(1, () => (typeof size === 'number' ? proto.integer(1, size) : proto.string(2, size)))
        }
      })
    })
  })
}
