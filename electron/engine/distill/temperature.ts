/** Negative log-likelihood per token at an inverse temperature b, and its first two derivatives in b. */
export interface LikelihoodAt {
  nll: number
  slope: number
  curvature: number
}

export interface FittedTemperature {
  temperature: number
  /** Nats per token at temperature 1 and at the fitted one. */
  before: number
  after: number
}

/** Temperatures outside 1/20..20 mean a teacher that is of no use, not one that is calibrated. */
const LIMIT = 20
const PRECISION = 1e-4
const MAX_PASSES = 20

/**
 * The temperature T that minimises the mean negative log-likelihood of labels under softmax(z / T) (Guo et al. 2017).
 * As a function of b = 1 / T it is convex with slope E_q[z] - z_label and curvature Var_q[z], so Newton's method,
 * kept inside the bracket that the slopes' signs give, finds its only minimum.
 *
 * @param at one pass over the calibration text
 */
export async function fitTemperature(
  at: (inverse: number) => Promise<LikelihoodAt>,
): Promise<FittedTemperature> {
  let [low, high] = [1 / LIMIT, LIMIT]
  let inverse = 1
  const first = await at(inverse)
  let now = first
  for (let pass = 1; pass < MAX_PASSES; pass++) {
    if (now.slope < 0) low = inverse
    else high = inverse
    const newton = inverse - now.slope / now.curvature
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high)
    const moved = Math.abs(next / inverse - 1)
    inverse = next
    now = await at(inverse)
    if (moved < PRECISION) break
  }
  return { temperature: 1 / inverse, before: first.nll, after: now.nll }
}
