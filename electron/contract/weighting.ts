import { z } from 'zod'

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
] as const
export type WeightingStrategy = (typeof weightingStrategies)[number]
export const granularities = ['token', 'sequence', 'batch'] as const

/** How the teachers' weights alpha come about (METHOD: teacher weightings). */
export const weighting = z
  .strictObject({
    strategy: z.enum(weightingStrategies).default('entropy'),
    /** Of `fixed`: one for each teacher; only their ratios count. */
    weights: z.array(z.number().nonnegative()).min(1).optional(),
    granularity: z.enum(granularities).default('token'),
    /** T_w: the weighting temperature of the softmax over teachers. */
    temperature: z.number().positive().default(1),
    fusion: z.enum(['arithmetic', 'geometric']).default('arithmetic'),
  })
  .superRefine(({ strategy, weights }, context) => {
    if (strategy === 'fixed' && !weights?.some((weight) => weight > 0)) {
      const message = 'the strategy "fixed" needs a number for each teacher, not all of them 0'
      context.addIssue({ code: 'custom', path: ['weights'], message })
    }
  })
export type Weighting = z.output<typeof weighting>
