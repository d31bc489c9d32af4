import type { Activation } from '#contract'
import { fusedKernel } from '../backend/fused'
import { tf } from '../backend/tf'

/**
 * Layers with their gradients in closed form: autodiff would take and keep more passes over the activations. Each is
 * one operator forward where the backend has it, and plain operations elsewhere.
 */

/** SiLU (Elfwing et al. 2017): x * sigmoid(x). */
export function swish(x: tf.Tensor2D): tf.Tensor2D {
  const op = tf.customGrad((input, save) => {
    const value = input as tf.Tensor2D
    const y = swishOf(value)
    ;(save as tf.GradSaveFunc)([value, y])
    const gradFunc = (dy: tf.Tensor2D, [x, y]: tf.Tensor[]) => tf.mul(dy, swishSlope(x!, y!))
    return { value: y, gradFunc }
  })
  return op(x) as tf.Tensor2D
}

/**
 * SwiGLU's inside (Shazeer 2020): silu(gate) * up.
 *
 * @param gate [tokens, hidden]
 * @param up [tokens, hidden]
 */
export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  const op = tf.customGrad((a, b, save) => {
    const [g, u] = [a as tf.Tensor2D, b as tf.Tensor2D]
    const y = swishOf(g)
    ;(save as tf.GradSaveFunc)([g, u, y])
    const gradFunc = (dy: tf.Tensor2D, [g, u, y]: tf.Tensor[]) => [
      tf.mul(tf.mul(dy, u!), swishSlope(g!, y!)),
      tf.mul(dy, y!),
    ]
    return { value: tf.mul<tf.Tensor2D>(y, u), gradFunc }
  })
  return op(gate, up) as tf.Tensor2D
}

/** The inside of a gated feed-forward: activation(gate) * up. */
export function gated(gate: tf.Tensor2D, up: tf.Tensor2D, activation: Activation): tf.Tensor2D {
  return activation === 'silu' ? swiglu(gate, up) : tf.mul(activate(gate, activation), up)
}

/** GELU (Hendrycks and Gimpel 2016), and its approximations by tanh and by x * sigmoid(1.702 x). */
export function activate(x: tf.Tensor2D, activation: Activation): tf.Tensor2D {
  switch (activation) {
    case 'silu':
      return swish(x)
    case 'gelu':
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))
    case 'gelu-tanh': {
      const cubic = tf.mul(tf.add(tf.mul(tf.square(x), 0.044715), 1), x)
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1))
    }
    case 'gelu-sigmoid':
      return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))
    case 'relu':
      return tf.relu(x)
    case 'relu-squared':
      return tf.square(tf.relu(x))
    case 'tanh':
      return tf.tanh(x)
  }
}

/** cap * tanh(x / cap) (Bello et al. 2016): what is far below the cap stays, nothing goes beyond. */
export function softCap<T extends tf.Tensor>(x: T, cap: number | undefined): T {
  return cap === undefined ? x : tf.mul<T>(tf.tanh(tf.div<T>(x, cap)), cap)
}

function swishOf(x: tf.Tensor2D): tf.Tensor2D {
  const [fused] = fusedKernel('Swish', { x }) ?? []
  return (fused as tf.Tensor2D) ?? tf.mul(x, tf.sigmoid(x))
}

/** With y = x * s and s = sigmoid(x): s + y * (1 - s). Where x is large, s is 1 and the slope exactly that. */
function swishSlope(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const s = tf.sigmoid(x)
  return tf.add(tf.mul(tf.sub(1, s), y), s)
}

/**
 * x / sqrt(mean(x^2) + epsilon) * gain over the last axis (Zhang and Sennrich 2019). With r = 1 / sqrt(mean(x^2) +
 * epsilon) and h = dy * gain, its gradient is r * h - r^3 * x * mean(h * x).
 *
 * @param x [tokens, width]
 * @param gain [width]
 */
export function rmsNorm(x: tf.Tensor2D, gain: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  const width = gain.size
  const op = tf.customGrad((input, weight, save) => {
    const [value, g] = [input as tf.Tensor2D, weight as tf.Tensor1D]
    const [y, r] = (fusedKernel('RmsNormalization', { x: value, gain: g }, { epsilon }) ??
      plainRmsNorm(value, g, epsilon)) as [tf.Tensor2D, tf.Tensor2D]
    ;(save as tf.GradSaveFunc)([value, r, g])
    const gradFunc = (dy: tf.Tensor2D, [x, r, g]: tf.Tensor[]) => {
      const product = tf.mul(dy, x!) as tf.Tensor2D
      // Sums over rows and columns as products with a vector: one pass each, with no table between.
      const inner = tf.matMul(product, tf.reshape(g!, [width, 1]))
      const shrink = tf.mul(inner, tf.mul(tf.mul(r!, tf.square(r!)), 1 / width))
      const dx = tf.sub(tf.mul(tf.mul(dy, g!), r!), tf.mul(x!, shrink))
      return [dx, tf.reshape(tf.matMul(r as tf.Tensor2D, product, true), [width])]
    }
    return { value: y, gradFunc }
  })
  return op(x, gain) as tf.Tensor2D
}

function plainRmsNorm(x: tf.Tensor2D, gain: tf.Tensor1D, epsilon: number): [tf.Tensor2D, tf.Tensor] {
  const r = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon))
  return [tf.mul(tf.mul(x, r), gain), r]
}

/**
 * (x - mean) / sqrt(variance + epsilon) * gain + bias over the last axis (Ba et al. 2016). With n the normalised
 * input, r the reciprocal deviation and h = dy * gain, its gradient is r * (h - mean(h) - n * mean(h * n)).
 *
 * @param x [tokens, width]
 * @param gain [width]
 * @param bias [width]
 */
export function layerNorm(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  epsilon: number,
): tf.Tensor2D {
  const op = tf.customGrad((a, b, c, save) => {
    const [value, g] = [a as tf.Tensor2D, b as tf.Tensor1D]
    const inputs = { x: value, gain: g, bias: c as tf.Tensor1D }
    const [y, mean, r] = (fusedKernel('LayerNormalization', inputs, { epsilon }) ??
      plainLayerNorm(value, g, c as tf.Tensor1D, epsilon)) as [tf.Tensor2D, tf.Tensor, tf.Tensor]
    ;(save as tf.GradSaveFunc)([value, mean, r, g])
    const gradFunc = (dy: tf.Tensor2D, [x, mean, r, g]: tf.Tensor[]) => {
      const n = tf.mul(tf.sub(x!, mean!), r!)
      const h = tf.mul(dy, g!)
      const along = tf.mul(n, tf.mean(tf.mul(h, n), -1, true))
      const dx = tf.mul(tf.sub(tf.sub(h, tf.mean(h, -1, true)), along), r!)
      return [dx, tf.sum(tf.mul(dy, n), 0), tf.sum(dy, 0)]
    }
    return { value: y, gradFunc }
  })
  return op(x, gain, bias) as tf.Tensor2D
}

function plainLayerNorm(x: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D, epsilon: number): tf.Tensor[] {
  const mean = tf.mean(x, -1, true)
  const centred = tf.sub(x, mean)
  const r = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon))
  return [tf.add(tf.mul(tf.mul(centred, r), gain), bias), mean, r]
}

/**
 * The norm of queries or keys: each head's (by one gain [size], or a gain for each head), or that of all heads together.
 *
 * @param x [tokens, heads * size]
 * @param gain [size] over a `head`, else [heads * size]
 */
export function headNorm(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  { kind, over, heads, epsilon }: HeadNorm,
): tf.Tensor2D {
  const [tokens, width] = x.shape
  const size = width / heads
  const one = (y: tf.Tensor2D, weight: tf.Tensor1D) =>
    kind === 'rms'
      ? rmsNorm(y, weight, epsilon)
      : layerNorm(y, weight, tf.zeros<tf.Rank.R1>([weight.size]), epsilon)
  if (over === 'all') return one(x, gain)
  const apart = tf.reshape(x, [tokens * heads, size]) as tf.Tensor2D
  if (over === 'head') return tf.reshape(one(apart, gain), [tokens, width])
  return tf.mul(tf.reshape(one(apart, tf.ones([size])), [tokens, width]), gain)
}

interface HeadNorm {
  kind: 'rms' | 'layer'
  over: 'head' | 'each-head' | 'all'
  heads: number
  epsilon: number
}

/** Cosines and sines of the angles, both halves alike: [time, dimensions] each, or of each sequence [batch, 1, time, dimensions]. */
export interface Rotation {
  cosine: tf.Tensor2D | tf.Tensor4D
  sine: tf.Tensor2D | tf.Tensor4D
}

/**
 * Rotary positions (Su et al. 2021), the halves of a head rotated against each other. Its gradient is the rotation
 * back.
 *
 * @param x [batch, heads, time, size]
 * @param rotation of all of the size
 */
export function rotate(x: tf.Tensor4D, { cosine, sine }: Rotation): tf.Tensor4D {
  const op = tf.customGrad((input, save) => {
    ;(save as tf.GradSaveFunc)([cosine, sine])
    const gradFunc = (dy: tf.Tensor4D, [cosine, sine]: tf.Tensor[]) => rotated(dy, cosine!, tf.neg(sine!))
    return { value: rotated(input as tf.Tensor4D, cosine, sine), gradFunc }
  })
  return op(x) as tf.Tensor4D
}

function rotated(x: tf.Tensor4D, cosine: tf.Tensor, sine: tf.Tensor): tf.Tensor4D {
  const [fused] = fusedKernel('RotaryEmbedding', { x, cosine, sine }) ?? []
  if (fused) return fused as tf.Tensor4D
  const [low, high] = tf.split(x, 2, 3)
  const turned = tf.concat([tf.neg(high!), low!], 3)
  return tf.add(tf.mul(x, cosine), tf.mul(turned, sine))
}
