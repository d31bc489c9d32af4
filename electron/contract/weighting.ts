import { z } from 'zod'
import type { CorpusMixture } from './corpusMixture'
import { objectName } from './model'
import { namesOf, type TeacherUse } from './teacherUse'

export const weightingStrategies = [
  'uniform',
  'fixed',
  'entropy',
  'inverse-entropy',
  'calibrated-entropy',
  'kl-to-consensus',
  'label-confidence',
  'oracle',
  'random',
  'routed',
] as const
export type WeightingStrategy = (typeof weightingStrategies)[number]
export const granularities = ['token', 'sequence', 'batch'] as const

/** How the teachers' weights alpha come about (METHOD: teacher weightings). */
export const weighting = z
  .strictObject({
    strategy: z.enum(weightingStrategies).default('entropy'),
    /** Of `fixed`: one for each teacher; only their ratios count. */
    weights: z.array(z.number().nonnegative()).min(1).optional(),
    /**
     * Of `routed`: the teacher that alone is learnt from on each corpus, by the names that `corpus` and `teachers` have.
     * It is the field's multi-teacher baseline: a specialist a domain, no word of the others.
     */
    routes: z.record(objectName, objectName).optional(),
    granularity: z.enum(granularities).default('token'),
    /** T_w: the weighting temperature of the softmax over teachers. */
    temperature: z.number().positive().default(1),
    fusion: z.enum(['arithmetic', 'geometric']).default('arithmetic'),
  })
  .superRefine(({ strategy, weights, routes = {} }, context) => {
    if (strategy === 'fixed' && !weights?.some((weight) => weight > 0)) {
      const message = 'the strategy "fixed" needs a number for each teacher, not all of them 0'
      context.addIssue({ code: 'custom', path: ['weights'], message })
    }
    if (strategy === 'routed' && !Object.keys(routes).length) {
      const message = 'the strategy "routed" needs a teacher for each corpus'
      context.addIssue({ code: 'custom', path: ['routes'], message })
    }
  })
export type Weighting = z.output<typeof weighting>

/** An experiment's routes: for each of its corpora the teacher's place among its teachers; -1 where there is none. */
export function routedTeachers({ corpus, teachers, weighting }: Routed): number[] {
  const routes = new Map(Object.entries(weighting.routes ?? {}))
  const names = namesOf(teachers)
  return corpus.map(({ name }) => names.indexOf(routes.get(name)!))
}

interface Routed {
  corpus: CorpusMixture
  teachers: readonly TeacherUse[]
  weighting: Pick<Weighting, 'routes'>
}
