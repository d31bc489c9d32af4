import type { NamedTensorMap } from '@tensorflow/tfjs'
import { tf } from './tf'

/**
 * Runs a kernel that only some backends have (backend/kernels/fused, and tfjs's own LogSoftmax).
 *
 * @returns its outputs; undefined where the backend in use has none, and plain operations must do
 */
export function fusedKernel(
  name: string,
  inputs: NamedTensorMap,
  attributes: tf.NamedAttrMap = {},
): tf.Tensor[] | undefined {
  if (!tf.getKernel(name, tf.getBackend())) return undefined
  const result = tf.engine().runKernel(name, inputs, attributes) as tf.Tensor | tf.Tensor[]
  return Array.isArray(result) ? result : [result]
}
