import type { Train } from '#contract'

/** The lowest learning rate of the cosine, as a share of the highest. */
const FLOOR = 0.1

/** Learning rate of step 1..steps: linear warm-up, then constant, or a cosine down to a tenth. */
export function learningRate(setting: Train, step: number): number {
  const { learningRate: peak, warmup, steps, schedule } = setting
  if (step <= warmup) return (peak * step) / warmup
  if (schedule === 'constant') return peak
  const progress = (step - warmup) / Math.max(1, steps - warmup)
  return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + Math.cos(Math.PI * progress)))
}
