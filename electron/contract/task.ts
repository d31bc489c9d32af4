import { z } from 'zod'
import { errorShape } from './errors'
import { id, timestamp } from './library'

/** Library work that is not a run: imports, generation, tokenizer training, evaluations, the demo as a whole. */
export const task = z.strictObject({
  id,
  title: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'stopped']),
  phase: z.string(),
  fraction: z.number(),
  secondsLeft: z.number().optional(),
  error: errorShape.optional(),
  /** Of completed work: the id of what it added to the library. */
  made: id.optional(),
  /** Of completed work. */
  warnings: z.array(z.string()).optional(),
  startedAt: timestamp,
})
export type Task = z.output<typeof task>
