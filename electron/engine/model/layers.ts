import { tf } from '../backend/tf'

/**
 * x * sigmoid(beta * x): SiLU at beta = 1, an approximation of GELU at 1.702. Its gradient is given in closed form,
 * s * (1 + beta * (x - y)): autodiff would take two passes more over the widest activations of a layer.
 */
export function swish(x: tf.Tensor2D, beta = 1): tf.Tensor2D {
  const op = tf.customGrad((input, save) => {
    const value = input as tf.Tensor2D
    const s = tf.sigmoid(beta === 1 ? value : tf.mul<tf.Tensor2D>(value, beta))
    const y = tf.mul<tf.Tensor2D>(value, s)
    ;(save as tf.GradSaveFunc)([value, s, y])
    const gradFunc = (dy: tf.Tensor2D, [x, s, y]: tf.Tensor[]) => {
      const rest = tf.sub(x!, y!)
      const slope = tf.mul(s!, tf.add(beta === 1 ? rest : tf.mul(rest, beta), 1))
      return tf.mul(dy, slope)
    }
    return { value: y, gradFunc }
  })
  return op(x) as tf.Tensor2D
}

/**
 * x / sqrt(mean(x^2) + epsilon) * gain over the last axis (Zhang and Sennrich 2019). The gradient in closed form, with
 * n = x / sqrt(mean(x^2) + epsilon): (dy gain - n mean(dy gain n)) / sqrt(mean(x^2) + epsilon).
 *
 * @param x [tokens, width]
 * @param gain [width]
 */
export function rmsNorm(x: tf.Tensor2D, gain: tf.Tensor1D, epsilon: tf.Scalar): tf.Tensor2D {
  const op = tf.customGrad((input, weight, save) => {
    const value = input as tf.Tensor2D
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(value), -1, true), epsilon))
    const normal = tf.mul<tf.Tensor2D>(value, scale)
    ;(save as tf.GradSaveFunc)([normal, scale, weight as tf.Tensor1D])
    const gradFunc = (dy: tf.Tensor2D, [n, r, g]: tf.Tensor[]) => {
      const outer = tf.mul(dy, g!)
      const inner = tf.mean(tf.mul(outer, n!), -1, true)
      const dx = tf.mul(tf.sub(outer, tf.mul(n!, inner)), r!)
      return [dx, tf.sum(tf.mul(dy, n!), 0)]
    }
    return { value: tf.mul<tf.Tensor2D>(normal, weight as tf.Tensor1D), gradFunc }
  })
  return op(x, gain) as tf.Tensor2D
}
