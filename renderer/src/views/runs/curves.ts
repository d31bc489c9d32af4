import {
  isNumber,
  type EvaluationRecord,
  type Measured,
  type StepRecord,
  type Stroke,
  type WrittenFigures,
} from '#contract'
import type { Series } from '../../charts/series'

type StepKey =
  | 'loss'
  | 'kd'
  | 'ce'
  | 'features'
  | 'retention'
  | 'disagreement'
  | 'gradNorm'
  | 'tokensPerSecond'
  | 'learningRate'
type EvaluationKey = 'perplexity' | 'bitsPerByte' | 'klToFused' | 'crossEntropy' | 'agreement'

/** More points than pixels cannot be seen. */
const POINTS = 1500

function thin<T>(items: readonly T[]): readonly T[] {
  const stride = Math.ceil(items.length / POINTS)
  return stride <= 1 ? items : items.filter((_, i) => i % stride === 0 || i === items.length - 1)
}

/** A gap where there is no finite number. */
const height = (value: Measured | undefined) => (isNumber(value) ? value : null)

/** A quantity of the training steps; absent when no step has it. */
export function stepSeries(
  name: string,
  steps: readonly StepRecord[],
  key: StepKey,
  stroke: Stroke,
): Series[] {
  const points = thin(steps).flatMap((s) => (s[key] === undefined ? [] : [[s.step, height(s[key])] as const]))
  return points.length ? [{ name, points, ...stroke }] : []
}

/** One series a teacher of a quantity that each has. */
export function teacherSeries(
  names: readonly string[],
  steps: readonly StepRecord[],
  key: 'alpha' | 'teacherEntropy' | 'foreign',
  stroke: (k: number) => Stroke,
): Series[] {
  const some = thin(steps).filter((s) => s[key])
  if (!some.length) return []
  return names.map((name, k) => ({
    name,
    points: some.map((s) => [s.step, height(s[key]![k])] as const),
    ...stroke(k),
  }))
}

/** A quantity of what the student wrote, over the steps that had writings. */
export function writtenSeries(
  name: string,
  steps: readonly StepRecord[],
  key: keyof WrittenFigures,
  stroke: Stroke,
): Series[] {
  const some = steps.filter(({ written }) => written?.[key] !== undefined)
  const points = thin(some).map(({ step, written }) => [step, written![key]!] as const)
  return points.length ? [{ name, points, ...stroke }] : []
}

export function evaluationSeries(
  name: string,
  evaluations: readonly EvaluationRecord[],
  key: EvaluationKey,
  stroke: Stroke,
): Series[] {
  const points = evaluations.flatMap((e) => (e[key] === undefined ? [] : [[e.step, height(e[key])] as const]))
  return points.length ? [{ name, points, ...stroke }] : []
}
