import type * as tfTypes from '@tensorflow/tfjs'
import { failed } from '#contract'
import { Value, type Data, type Dtype } from './graph'

/** A value whose data is there. Zero-size values are always known. */
export function known(
  values: tfTypes.BackendValues | readonly number[],
  shape: readonly number[],
  dtype: string,
): Value {
  const value = new Value(shape, supported(dtype))
  value.data = typed(values, value.type as Dtype)
  return value
}

export function supported(dtype: string): Dtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype
  throw failed(`the onnx backend holds float32, int32 and bool tensors, not ${dtype}`)
}

function typed(values: tfTypes.BackendValues | readonly number[], dtype: Dtype): Data {
  if (dtype === 'float32')
    return values instanceof Float32Array ? values : Float32Array.from(values as number[])
  if (dtype === 'int32') return values instanceof Int32Array ? values : Int32Array.from(values as number[])
  return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>)
}

/** A value's data; of signed numbers of 8 bits the bytes are kept, for tfjs knows no such arrays. */
export function signed({ type, data }: Value): Data | Int8Array {
  return type === 'int8' ? new Int8Array(data!.buffer, data!.byteOffset, data!.length) : data!
}

/** What tfjs takes a value for: it knows no numbers of 8 bits, which our own kernels alone read. */
export function dtypeOf({ type }: Value): Dtype {
  return type === 'int8' || type === 'uint8' ? 'int32' : (type as Dtype)
}
