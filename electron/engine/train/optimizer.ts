import type { Train } from '#contract'
import { tf } from '../backend/tf'

const EPSILON = 1e-8

/**
 * AdamW (Loshchilov and Hutter 2019) with bias correction and global-norm clipping over tfjs variables. Weight decay
 * reaches matrices only, not the norms' gains. Everything that changes from step to step (learning rate, bias
 * corrections) enters as a tensor, so that a lazy backend sees the same graph each step.
 */
export class AdamW {
  private readonly m = new Map<string, tf.Variable>()
  private readonly v = new Map<string, tf.Variable>()

  constructor(
    private readonly parameters: ReadonlyMap<string, tf.Variable>,
    private readonly setting: Pick<Train, 'betas' | 'weightDecay' | 'clip'>,
  ) {
    for (const [name, parameter] of parameters) {
      this.m.set(name, tf.variable(tf.zeros(parameter.shape), false))
      this.v.set(name, tf.variable(tf.zeros(parameter.shape), false))
    }
  }

  /** The moments by name, `m.<parameter>` and `v.<parameter>`: with the parameters the whole state. */
  state(): Map<string, tf.Variable> {
    const state = new Map<string, tf.Variable>()
    for (const [name, value] of this.m) state.set(`m.${name}`, value)
    for (const [name, value] of this.v) state.set(`v.${name}`, value)
    return state
  }

  /**
   * Updates parameters and moments.
   * @param gradients by parameter name; a parameter without one is left alone
   * @param step 1 for the first update
   * @returns the global norm of the gradients before clipping
   */
  apply(gradients: ReadonlyMap<string, tf.Tensor>, step: number, learningRate: number): tf.Scalar {
    const { betas, weightDecay, clip } = this.setting
    const [beta1, beta2] = betas
    const norm = globalNorm([...gradients.values()])
    const scale: tf.Scalar = clip > 0 ? tf.minimum(tf.div(clip, tf.add(norm, 1e-6)), 1) : tf.scalar(1)
    // Every factor is one tensor for all parameters, and factors of the same tensor are multiplied first: what is
    // left is the fewest passes over the parameters, beta1 m + (1 - beta1) g and so on with the clipping inside.
    const [keep1, keep2] = [tf.scalar(beta1), tf.scalar(beta2)]
    const take1 = tf.mul(scale, 1 - beta1)
    const take2 = tf.mul(scale, Math.sqrt(1 - beta2))
    const root = Math.sqrt(1 - beta2 ** step)
    // m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) = rate * m / (sqrt(v) + eps root), root / (1 - beta1^t) in rate.
    const epsilon = tf.scalar(EPSILON * root)
    const rate = tf.scalar((learningRate * root) / (1 - beta1 ** step))
    const shrink = tf.scalar(1 - learningRate * weightDecay)

    for (const [name, parameter] of this.parameters) {
      const g = gradients.get(name)
      if (!g) continue
      const m = tf.add(tf.mul(this.m.get(name)!, keep1), tf.mul(g, take1))
      const v = tf.add(tf.mul(this.v.get(name)!, keep2), tf.square(tf.mul(g, take2)))
      this.m.get(name)!.assign(m)
      this.v.get(name)!.assign(v)
      const update = tf.mul(tf.div(m, tf.add(tf.sqrt(v), epsilon)), rate)
      const decayed = weightDecay > 0 && parameter.rank > 1 ? tf.mul(parameter, shrink) : parameter
      parameter.assign(tf.sub(decayed, update))
    }
    return norm
  }

  dispose(): void {
    for (const value of this.state().values()) value.dispose()
  }
}

/** sqrt of the sum of squares over all tensors. */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Scalar {
  const squares = tensors.map((t) => tf.sum<tf.Scalar>(tf.square(t)))
  return tf.sqrt(squares.reduce((a, b) => tf.add(a, b)))
}
