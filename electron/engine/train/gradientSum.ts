import { heldData } from '../backend'
import type { Recurring } from '../backend/replay'
import { tf } from '../backend/tf'
import type { AdamW, Computed } from './adamw'
import { take, type Gradients } from './gradients'

/** The gradients of a step's micro-batches, each computed when the one before is done, and their mean. */
export interface GradientSum {
  /**
   * Resolves to the metrics of a micro-batch.
   * @param recurring what of `compute` is other data in the next micro-batch, if nothing else is
   */
  add(compute: () => Computed, recurring: Omit<Recurring, 'compute'> | undefined): Promise<Float32Array>
  /** The mean of all that was added; the caller's. The next one added begins anew. */
  mean(): Gradients
}

/** @param parts micro-batches of a step */
export function gradientSum(optimizer: AdamW, parts: number): GradientSum {
  return optimizer.onHost ? new SumOnHost(optimizer, parts) : new SumInGraph(parts)
}

/** Where the device keeps them: each graph adds its gradients to what is there. */
class SumInGraph implements GradientSum {
  private sum: Gradients | undefined

  constructor(private readonly parts: number) {}

  async add(compute: () => Computed): Promise<Float32Array> {
    return take(
      tf.tidy(() => {
        const { gradients, metrics } = compute()
        this.sum = this.kept(gradients)
        return metrics!
      }),
    )
  }

  mean(): Gradients {
    const sum = this.sum!
    this.sum = undefined
    return sum
  }

  /** Kept beyond the tidy it is called in. */
  private kept(gradients: Gradients): Gradients {
    const result: Gradients = new Map()
    for (const [name, gradient] of gradients) {
      const share = this.parts === 1 ? gradient : tf.mul(gradient, 1 / this.parts)
      const before = this.sum?.get(name)
      result.set(name, tf.keep(before ? tf.add(before, share) : share))
      before?.dispose()
    }
    return result
  }
}

/**
 * On the host's arrays: all micro-batches are the same graph, which is compiled once, has memory once, and is run again
 * with other data.
 */
class SumOnHost implements GradientSum {
  /** Used anew each step. */
  private readonly sums = new Map<string, Float32Array>()
  private sum: Gradients | undefined
  private readonly share: number

  constructor(
    private readonly optimizer: AdamW,
    private readonly parts: number,
  ) {
    this.share = Math.fround(1 / parts)
  }

  async add(
    compute: () => Computed,
    recurring: Omit<Recurring, 'compute'> | undefined,
  ): Promise<Float32Array> {
    const { gradients, metrics } = await this.optimizer.gradients(compute, recurring)
    if (this.parts === 1) this.sum = gradients
    else {
      this.sum = this.sum ? this.added(gradients) : this.first(gradients)
      tf.dispose([...gradients.values()])
    }
    return metrics
  }

  mean(): Gradients {
    const sum = this.sum!
    this.sum = undefined
    return sum
  }

  private first(gradients: Gradients): Gradients {
    const sum: Gradients = new Map()
    for (const [name, gradient] of gradients) {
      const into = this.sums.get(name) ?? new Float32Array(gradient.size)
      this.sums.set(name, into)
      const data = heldData(gradient)
      for (let i = 0; i < into.length; i++) into[i] = data[i]! * this.share
      sum.set(name, tf.tensor(into, gradient.shape))
    }
    return sum
  }

  private added(gradients: Gradients): Gradients {
    for (const [name, gradient] of gradients) {
      const into = this.sums.get(name)!
      const data = heldData(gradient)
      // Rounded as the operators of a graph would.
      for (let i = 0; i < into.length; i++) into[i] = into[i]! + Math.fround(data[i]! * this.share)
    }
    return this.sum!
  }
}
