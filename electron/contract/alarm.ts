import { z } from 'zod'
import { measured } from './measured'

/** How a run goes wrong (METHOD: failure signatures). */
export const alarmSignatures = [
  'mode-collapse',
  'collapsed-writing',
  'oscillating-loss',
  'divergence',
  'out-of-memory',
  'homogeneous-teachers',
  'miscalibrated-teacher',
] as const
export type AlarmSignature = (typeof alarmSignatures)[number]

/** A failure signature that was seen, once per run and signature: what, on what evidence, and what mends it. */
export const alarm = z.object({
  signature: z.enum(alarmSignatures),
  /** The step it was seen at; 0: before the first. */
  step: z.number().int().nonnegative(),
  /** What was seen, in one sentence with its numbers. */
  message: z.string(),
  /** The numbers behind it by name, the threshold among them: `{ loss: 9.1, runningMinimum: 2.4, limit: 3 }`. */
  evidence: z.record(z.string(), measured),
  /** What to do, in one sentence. */
  advice: z.string(),
  /** The advice as settings, `train.learningRate=0.0005` each: `runs.mend` applies them to a copy. May be empty. */
  mend: z.array(z.string()),
})
export type Alarm = z.output<typeof alarm>

/** What a run's row knows of its alarms. */
export const alarmSummary = z.object({ count: z.number().int().positive(), last: alarm })
export type AlarmSummary = z.output<typeof alarmSummary>
