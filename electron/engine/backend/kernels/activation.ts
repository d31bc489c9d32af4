import { filled, node, scalar } from '../builder'
import type { Value } from '../graph'
import { tf } from '../tf'

/** Activations with a slope below zero, and those that tf.fused names. */

export function leakyRelu(x: Value, alpha: number): Value {
  return node('LeakyRelu', [x], x.shape, 'float32', { attributes: { alpha: { float: alpha } } })
}

export function relu6(x: Value): Value {
  return node('Clip', [x, scalar(0, 'float32'), scalar(6, 'float32')], x.shape, 'float32')
}

/** x above zero, alpha x below; alpha broadcasts. */
export function prelu(x: Value, alpha: Value): Value {
  const shape = tf.backend_util.assertAndGetBroadcastShape([...x.shape], [...alpha.shape])
  const below = node('Mul', [x, alpha], shape, 'float32')
  const negative = node('Less', [x, filled([], 0, 'float32')], x.shape, 'bool')
  return node('Where', [negative, below, x], shape, 'float32')
}

const PLAIN: Record<string, string> = { relu: 'Relu', sigmoid: 'Sigmoid', elu: 'Elu' }

interface Activation {
  activation?: string
  leakyreluAlpha?: number
}

/** @param slopes of `prelu` */
export function activate(x: Value, { activation, leakyreluAlpha }: Activation, slopes?: Value): Value {
  if (!activation || activation === 'linear') return x
  if (activation === 'relu6') return relu6(x)
  if (activation === 'leakyrelu') return leakyRelu(x, leakyreluAlpha ?? 0.2)
  if (activation === 'prelu' && slopes) return prelu(x, slopes)
  const name = PLAIN[activation]
  if (!name) throw new Error(`the onnx backend has no fused activation ${activation}`)
  return node(name, [x], x.shape, 'float32')
}
