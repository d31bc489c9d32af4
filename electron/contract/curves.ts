import { z } from 'zod'
import { measured, type Measured } from './measured'
import type { EvaluationRecord, StepRecord } from './metrics'

/**
 * One quantity of a run over its steps, which ascend: a field of the step records (`loss`; of a list each place,
 * `alpha.0`, of a group each name, `written.tokens`), or `heldOut.` and a field of the evaluations.
 */
export const curve = z.object({ steps: z.array(z.number().int()), values: z.array(measured) })
export type Curve = z.output<typeof curve>

export const runCurves = z.object({ id: z.string(), curves: z.record(z.string(), curve) })
export type RunCurves = z.output<typeof runCurves>

/** What a step measured, by the curves that it is of. */
export function* stepValues({ step: _, ...fields }: StepRecord): Generator<[key: string, value: Measured]> {
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    // Of a list the names are its places.
    if (typeof value === 'object')
      for (const [name, one] of Object.entries(value)) yield [`${key}.${name}`, one]
    else yield [key, value]
  }
}

const EVALUATED = [
  'crossEntropy',
  'perplexity',
  'bitsPerByte',
  'klToFused',
  'distillationLoss',
  'agreement',
  'studentEntropy',
] as const satisfies (keyof EvaluationRecord)[]

/** What an evaluation measured, by the curves that it is of. */
export function* evaluationValues(record: EvaluationRecord): Generator<[key: string, value: Measured]> {
  for (const key of EVALUATED) {
    const value = record[key]
    if (value !== undefined) yield [`heldOut.${key}`, value]
  }
}

/** The fewest points that a long curve is thinned to: both ends and what one stretch of it has to tell. */
export const FEWEST_POINTS = 5

/**
 * The places of a long curve that show what it does: both ends, and of each of equal stretches the lowest and the highest
 * value and the first that is no finite number. An outlier of a single step stays, which evenly chosen places would miss
 * (the min and max aggregation of Jugel et al. 2014, M4).
 *
 * @param columns curves of the same steps that are to be seen together: the places are of all of them
 * @param points at least FEWEST_POINTS a column
 * @returns places in ascending order, at most `points`; all where there are no more
 */
export function tellingPlaces(columns: readonly ArrayLike<number>[], points: number): number[] {
  const length = columns[0]?.length ?? 0
  if (length <= points) return Array.from({ length }, (_, i) => i)
  const stretches = Math.max(1, Math.floor((points - 2) / (3 * columns.length)))
  const places: number[] = []
  for (let stretch = 0; stretch < stretches; stretch++) {
    const begin = Math.floor((stretch * length) / stretches)
    const end = Math.floor(((stretch + 1) * length) / stretches)
    const told = new Set(columns.flatMap((values) => extremesOf(values, begin, end)))
    if (!stretch) told.add(0)
    if (end === length) told.add(length - 1)
    places.push(...[...told].sort((a, b) => a - b))
  }
  return places
}

function extremesOf(values: ArrayLike<number>, begin: number, end: number): number[] {
  let [lowest, highest, lost] = [-1, -1, -1]
  for (let i = begin; i < end; i++) {
    const value = values[i]!
    if (!Number.isFinite(value)) {
      if (lost < 0) lost = i
      continue
    }
    if (lowest < 0 || value < values[lowest]!) lowest = i
    if (highest < 0 || value > values[highest]!) highest = i
  }
  return [lowest, highest, lost].filter((i) => i >= 0)
}
