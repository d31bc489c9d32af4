import type { Train } from '#contract'
import { newReplay } from '../../backend'
import type { Recurring, Replay } from '../../backend/replay'
import type { Threading } from '../../backend/session'
import { tf } from '../../backend/tf'
import { take, type Gradients } from '../gradients'
import { InPlace } from './inPlace'

const EPSILON = 1e-8

/** What a step computes before its update. */
export interface Computed {
  /** By parameter name; a parameter without one is left alone. Disposed of with the update. */
  gradients: Gradients
  /** Values to be read along with them. */
  metrics?: tf.Tensor1D
}

/**
 * AdamW (Loshchilov and Hutter 2019) with bias correction and global-norm clipping over tfjs variables. Weight decay
 * reaches matrices only, not the norms' gains.
 *
 * On a backend that computes on the host's own arrays the update is done there, in place; on others it is part of the
 * graph. Everything that changes from step to step (learning rate, bias corrections) then enters as a tensor, so that a
 * lazy backend sees the same graph each step.
 */
export class AdamW {
  private readonly m = new Map<string, tf.Variable>()
  private readonly v = new Map<string, tf.Variable>()
  private readonly inPlace: InPlace | undefined
  private replay: Replay | undefined

  constructor(
    private readonly parameters: ReadonlyMap<string, tf.Variable>,
    private readonly setting: Pick<Train, 'betas' | 'weightDecay' | 'clip'>,
  ) {
    this.inPlace = InPlace.of(parameters)
    for (const [name, { shape }] of parameters) {
      this.m.set(name, this.inPlace?.moment(name, 'm') ?? tf.variable(tf.zeros(shape), false))
      this.v.set(name, this.inPlace?.moment(name, 'v') ?? tf.variable(tf.zeros(shape), false))
    }
  }

  /** How the runtime's threads have been found to be faster, where something else wants the cores. */
  get threading(): Threading | undefined {
    return this.replay?.pace.found
  }

  /** The moments by name, `m.<parameter>` and `v.<parameter>`: with the parameters the whole state. */
  state(): Map<string, tf.Variable> {
    const state = new Map<string, tf.Variable>()
    for (const [name, value] of this.m) state.set(`m.${name}`, value)
    for (const [name, value] of this.v) state.set(`v.${name}`, value)
    return state
  }

  /**
   * Computes gradients and metrics, updates parameters and moments, and resolves to the metrics' values and the global
   * norm of the gradients before clipping.
   * @param compute called once, within a tidy
   * @param step 1 for the first update
   * @param recurring what of `compute` is other data in the next step, if nothing else is
   */
  async step(
    compute: () => Computed,
    step: number,
    learningRate: number,
    recurring?: Omit<Recurring, 'compute'>,
  ): Promise<{ metrics: Float32Array; norm: number }> {
    if (this.inPlace) return this.stepOnHost(this.inPlace, compute, step, learningRate, recurring)
    const vector = tf.tidy(() => {
      const { gradients, metrics } = compute()
      const norm = tf.reshape(this.apply(gradients, step, learningRate), [1])
      tf.dispose([...gradients.values()])
      return metrics ? tf.concat([norm, metrics]) : norm
    })
    const [norm, ...metrics] = await take(vector)
    return { metrics: Float32Array.from(metrics), norm: norm! }
  }

  /** Whether the update is done on the host's own arrays. */
  get onHost(): boolean {
    return this.inPlace !== undefined
  }

  /** Computes gradients, which are the caller's, and metrics, where the update is done on the host. */
  async gradients(compute: () => Computed, recurring?: Omit<Recurring, 'compute'>) {
    return recurring ? this.again({ ...recurring, compute: () => together(compute()) }) : computed(compute)
  }

  /** The global norm of gradients; they stay the caller's. */
  async norm(gradients: Gradients): Promise<number> {
    const all = [...gradients.values()]
    if (this.inPlace) return this.inPlace.norm(all)
    const [norm] = await take(tf.tidy(() => tf.reshape(globalNorm(all), [1])))
    return norm!
  }

  /** What is read makes the backend compute all that is live, the gradients with it. */
  private async stepOnHost(
    inPlace: InPlace,
    compute: () => Computed,
    step: number,
    learningRate: number,
    recurring?: Omit<Recurring, 'compute'>,
  ) {
    const { gradients, metrics } = await this.gradients(compute, recurring)
    const norm = inPlace.norm(gradients.values())
    const { clip } = this.setting
    const scale = clip > 0 ? Math.min(clip / (norm + 1e-6), 1) : 1
    inPlace.update(gradients, scale, this.factors(step, learningRate))
    tf.dispose([...gradients.values()])
    return { metrics, norm }
  }

  private async again(work: Recurring) {
    this.replay ??= newReplay()
    const gradients = await this.replay.run(work)
    const vector = gradients.get(METRICS)!
    gradients.delete(METRICS)
    return { gradients, metrics: await take(vector) }
  }

  /** @returns the global norm */
  private apply(gradients: Gradients, step: number, learningRate: number): tf.Scalar {
    const { clip, weightDecay } = this.setting
    const norm = globalNorm([...gradients.values()])
    const scale: tf.Scalar = clip > 0 ? tf.minimum(tf.div(clip, tf.add(norm, 1e-6)), 1) : tf.scalar(1)
    // Every factor is one tensor for all parameters, and factors of the same tensor are multiplied first: what is
    // left is the fewest passes over the parameters, beta1 m + (1 - beta1) g and so on with the clipping inside.
    const factors = this.factors(step, learningRate)
    const [keep1, keep2] = [tf.scalar(factors.beta1), tf.scalar(factors.beta2)]
    const take1 = tf.mul(scale, 1 - factors.beta1)
    const take2 = tf.mul(scale, Math.sqrt(1 - factors.beta2))
    const [epsilon, rate, shrink] = [
      tf.scalar(factors.epsilon),
      tf.scalar(factors.rate),
      tf.scalar(factors.shrink),
    ]
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

  /** m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) = rate m / (sqrt(v) + epsilon). */
  private factors(step: number, learningRate: number) {
    const [beta1, beta2] = this.setting.betas
    const root = Math.sqrt(1 - beta2 ** step)
    return {
      beta1,
      beta2,
      shrink: 1 - learningRate * this.setting.weightDecay,
      rate: (learningRate * root) / (1 - beta1 ** step),
      epsilon: EPSILON * root,
    }
  }

  dispose(): void {
    for (const value of this.state().values()) value.dispose()
  }
}

/** No parameter's name. */
const METRICS = ' metrics'

function together({ gradients, metrics }: Computed): Gradients {
  return new Map([...gradients, [METRICS, metrics ?? tf.zeros([1])]])
}

async function computed(compute: () => Computed) {
  let gradients!: Gradients
  const vector = tf.tidy(() => {
    const computed = compute()
    gradients = computed.gradients
    for (const gradient of gradients.values()) tf.keep(gradient)
    return computed.metrics ?? tf.zeros<tf.Rank.R1>([1])
  })
  return { gradients, metrics: await take(vector) }
}

/** sqrt of the sum of squares over all tensors. */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Scalar {
  const squares = tensors.map((t) => tf.sum<tf.Scalar>(tf.square(t)))
  return tf.sqrt(squares.reduce((a, b) => tf.add(a, b)))
}
