import { numberOf, tellingPlaces, type Curve, type Stroke } from '#contract'
import type { Series } from '../../charts/series'

export type Curves = Readonly<Record<string, Curve>>

/** More points than pixels cannot be seen. */
const POINTS = 1500

/** A quantity of a run; absent when it was not measured. */
export function curveSeries(name: string, curves: Curves, key: string, stroke: Stroke): Series[] {
  return drawn([[name, curves[key], stroke]], curves)
}

/** One series a teacher of a quantity that each has. */
export function teacherSeries(
  names: readonly string[],
  curves: Curves,
  key: 'alpha' | 'teacherEntropy' | 'foreign',
  stroke: (k: number) => Stroke,
): Series[] {
  return drawn(
    names.map((name, k) => [name, curves[`${key}.${k}`], stroke(k)]),
    curves,
  )
}

/** Curves of the same steps; a gap where there is no finite number. */
function drawn(
  lines: [name: string, curve: Curve | undefined, stroke: Stroke][],
  { tokens, seconds }: Curves,
): Series[] {
  const clock = { ...(tokens && { tokens }), ...(seconds && { seconds }) }
  const there = lines.flatMap(([name, curve, stroke]) =>
    curve?.steps.length ? [{ name, stroke, steps: curve.steps, values: curve.values.map(numberOf) }] : [],
  )
  const places = tellingPlaces(
    there.map(({ values }) => values),
    POINTS,
  )
  return there.map(({ name, stroke, steps, values }) => ({
    name,
    points: places.map((i) => [steps[i]!, Number.isFinite(values[i]) ? values[i]! : null] as const),
    ...stroke,
    clock,
  }))
}
