import { measuredOf, numberOf, type ReliabilityBin } from '#contract'

/** Bins of a reliability diagram, and of ECE (METHOD: calibration). */
const BINS = 15

/**
 * Reliability diagram with bins of equal mass (Nguyen and O'Connor 2015): predictions sorted by confidence, cut into
 * `bins` groups whose sizes differ by at most one. Fewer predictions than bins give a bin each.
 *
 * @param confidence probability of the predicted class
 * @param correct 1 where the prediction was right, else 0
 */
export function reliability(
  confidence: ArrayLike<number>,
  correct: ArrayLike<number>,
  bins = BINS,
): ReliabilityBin[] {
  const order = Array.from({ length: confidence.length }, (_, i) => i).sort(
    (a, b) => confidence[a]! - confidence[b]! || a - b,
  )
  const groups = Math.min(bins, order.length)
  return Array.from({ length: groups }, (_, i) => {
    const part = order.slice(
      Math.floor((i * order.length) / groups),
      Math.floor(((i + 1) * order.length) / groups),
    )
    const mean = (values: ArrayLike<number>) => part.reduce((sum, j) => sum + values[j]!, 0) / part.length
    return { count: part.length, confidence: measuredOf(mean(confidence)), accuracy: mean(correct) }
  })
}

/** Expected calibration error, 0..1: mean gap of accuracy and confidence, each bin weighed by its predictions. */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number {
  const total = bins.reduce((sum, { count }) => sum + count, 0)
  return bins.reduce((sum, b) => sum + (b.count / total) * Math.abs(b.accuracy - numberOf(b.confidence)), 0)
}

/**
 * Brier score over classes, 0..2 (Brier 1950): mean of sum_v (p(v) - [v is the label])^2.
 *
 * @param squares sum_v p(v)^2 of each prediction
 * @param label p(label) of each prediction
 */
export function brierScore(squares: ArrayLike<number>, label: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < squares.length; i++) sum += squares[i]! - 2 * label[i]! + 1
  return sum / squares.length
}
