import type { LossScaleState } from '#contract'

/** First factor, and how many updates in a row double it (the values of PyTorch's GradScaler). */
const FIRST = 2 ** 16
const PATIENCE = 2000
/** Beyond these nothing is won: gradients of losses near 1 have long left the range of float16. */
const [LEAST, MOST] = [1, 2 ** 24]

/**
 * Dynamic loss scaling (Micikevicius et al. 2018): the loss is multiplied by a factor, so that gradients which wait in
 * float16 are not rounded to zero, and the gradients are divided by it before they are clipped. Where they are infinite
 * or no numbers, the update is left out and the factor halved; after 2,000 updates in a row it is doubled. It is a power
 * of two: multiplying by it rounds nothing.
 */
export class LossScale {
  private current: LossScaleState

  constructor(state: LossScaleState = { factor: FIRST, updates: 0, skipped: 0 }) {
    this.current = state
  }

  /** Of a checkpoint: with it a resumed run goes on as if it had never stopped. */
  get state(): LossScaleState {
    return this.current
  }

  get factor(): number {
    return this.current.factor
  }

  /** Steps without an update so far. */
  get skipped(): number {
    return this.current.skipped
  }

  /**
   * Tells of a step's gradients.
   * @param norm their global norm, unscaled
   * @returns whether the update is to be done
   */
  judge(norm: number): boolean {
    const { factor, updates, skipped } = this.current
    if (!Number.isFinite(norm)) {
      this.current = { factor: Math.max(LEAST, factor / 2), updates: 0, skipped: skipped + 1 }
      return false
    }
    const due = updates + 1 === PATIENCE
    this.current = due
      ? { factor: Math.min(MOST, factor * 2), updates: 0, skipped }
      : { factor, updates: updates + 1, skipped }
    return true
  }
}
