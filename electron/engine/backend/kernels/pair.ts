import { cast, node } from '../builder'
import type { OnnxType, Value } from '../graph'
import { tf } from '../tf'

export function broadcastShape(a: Value, b: Value): number[] {
  return tf.backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape])
}

/** An operator on two values, made of the same type and broadcast. */
export function pair(name: string, a: Value, b: Value): Value {
  // tfjs lets booleans through where numbers are meant; ONNX does not.
  const type: OnnxType = a.type === 'bool' ? (b.type === 'bool' ? 'int32' : b.type) : a.type
  return node(name, [cast(a, type), cast(b, type)], broadcastShape(a, b), type)
}
