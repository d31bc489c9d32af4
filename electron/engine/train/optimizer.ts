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
    const rate = tf.scalar(learningRate)
    const correction1 = tf.scalar(1 / (1 - beta1 ** step))
    const correction2 = tf.scalar(1 / (1 - beta2 ** step))
    const norm = globalNorm([...gradients.values()])
    const scale = clip > 0 ? tf.minimum(tf.div(clip, tf.add(norm, 1e-6)), 1) : undefined

    for (const [name, parameter] of this.parameters) {
      const raw = gradients.get(name)
      if (!raw) continue
      const g = scale ? tf.mul(raw, scale) : raw
      const m = tf.add(tf.mul(this.m.get(name)!, beta1), tf.mul(g, 1 - beta1))
      const v = tf.add(tf.mul(this.v.get(name)!, beta2), tf.mul(tf.square(g), 1 - beta2))
      this.m.get(name)!.assign(m)
      this.v.get(name)!.assign(v)
      const update = tf.div(tf.mul(m, correction1), tf.add(tf.sqrt(tf.mul(v, correction2)), EPSILON))
      const decayed =
        weightDecay > 0 && parameter.rank > 1 ? tf.add(update, tf.mul(parameter, weightDecay)) : update
      parameter.assign(tf.sub(parameter, tf.mul(rate, decayed)))
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
