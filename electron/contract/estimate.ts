import { z } from 'zod'
import { memoryAdvice } from './outOfMemory'

/** What a run will cost, from the speed measured on this machine so far. */
export const estimate = z.object({
  parameters: z.number(),
  tokensPerStep: z.number(),
  flopsPerStep: z.number(),
  /** Absent until a run was measured here. */
  seconds: z.number().optional(),
  /** Most that its process will have. */
  memoryMb: z.number(),
  /** When that is more than may be had. */
  memoryAdvice: memoryAdvice.optional(),
  diskMb: z.number(),
  /** Tokens that its teachers behind servers are asked, as far as they were not asked before. */
  askedTokens: z.number().optional(),
  /** How long that takes, by the speed in the last run that asked them, or at their import. */
  askedSeconds: z.number().optional(),
  /** What it costs, where a teacher has a price. */
  askedCost: z.number().optional(),
  /** Where it is more than a teacher's limits allow: that the run will stop. */
  askedBound: z.string().optional(),
})
export type Estimate = z.output<typeof estimate>
