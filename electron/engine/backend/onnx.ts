import {
  outputName,
  type Attribute,
  type Attributes,
  type Graph,
  type OnnxType,
  type Operation,
} from './graph'
import { ProtoWriter } from './protobuf'

/** Operator set 18: axes of reductions are inputs, scatters add up. */
const OPSET = 18
const IR_VERSION = 9

/** TensorProto.DataType of onnx.proto. */
const TYPE: Record<OnnxType, number> = { float32: 1, int32: 6, int64: 7, bool: 9 }

/** AttributeProto.AttributeType of onnx.proto. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const

/**
 * Encodes a graph as a serialised ONNX ModelProto. Field numbers are those of onnx.proto (onnx 1.14).
 */
export function encodeModel(graph: Graph): Uint8Array {
  const proto = new ProtoWriter()
  const name = (value: Parameters<typeof graph.names.get>[0]) => graph.names.get(value)!
  proto.integer(1, IR_VERSION)
  proto.message(7, () => {
    for (const [at, op] of graph.nodes.entries()) proto.message(1, () => encodeNode(proto, op, at, graph))
    proto.string(2, 'retort')
    for (const value of graph.constants) {
      proto.message(5, () => encodeTensor(proto, name(value), value.type, value.shape, value.constant!.bytes))
    }
    for (const value of graph.leaves) {
      proto.message(11, () => encodeValueInfo(proto, name(value), value.type, value.shape))
    }
    for (const value of graph.outputs) {
      proto.message(12, () => encodeValueInfo(proto, name(value), value.type, value.shape))
    }
  })
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    proto.message(8, () => {
      proto.string(1, domain)
      proto.integer(2, version)
    })
  }
  return proto.finish()
}

function encodeNode(proto: ProtoWriter, op: Operation, at: number, graph: Graph): void {
  for (const input of op.inputs) proto.string(1, input ? graph.names.get(input)! : '')
  for (const i of op.outputs.keys()) proto.string(2, outputName(at, i))
  proto.string(4, op.name)
  encodeAttributes(proto, op.attributes)
  if (op.domain) proto.string(7, op.domain)
}

function encodeAttributes(proto: ProtoWriter, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    proto.message(5, () => {
      proto.string(1, key)
      encodeAttribute(proto, value)
    })
  }
}

function encodeAttribute(proto: ProtoWriter, value: Attribute): void {
  if (typeof value === 'number') {
    proto.integer(3, value)
    proto.integer(20, ATTRIBUTE.int)
  } else if (typeof value === 'string') {
    proto.string(4, value)
    proto.integer(20, ATTRIBUTE.string)
  } else if ('float' in value) {
    proto.float(2, value.float)
    proto.integer(20, ATTRIBUTE.float)
  } else {
    proto.integers(8, value)
    proto.integer(20, ATTRIBUTE.ints)
  }
}

function encodeTensor(
  proto: ProtoWriter,
  name: string,
  type: OnnxType,
  shape: readonly number[],
  bytes: Uint8Array,
): void {
  proto.integers(1, shape)
  proto.integer(2, TYPE[type])
  proto.string(8, name)
  proto.raw(9, bytes)
}

function encodeValueInfo(proto: ProtoWriter, name: string, type: OnnxType, shape: readonly number[]): void {
  proto.string(1, name)
  proto.message(2, () => {
    proto.message(1, () => {
      proto.integer(1, TYPE[type])
      proto.message(2, () => {
        for (const size of shape) proto.message(1, () => proto.integer(1, size))
      })
    })
  })
}
