import { z } from 'zod'

/** A loss that has become NaN or infinite crosses JSON as null. */
const value = z.number().nullable()

/** A line of `metrics.jsonl` for one training step (EXPERIMENT.md). Entropies and divergences in nats per token. */
export const stepRecord = z.object({
  step: z.number().int().positive(),
  /** Training tokens seen since the start of the run. */
  tokens: z.number().int(),
  /** Seconds of training since the start of the run, pauses left out. Differs between two runs. */
  seconds: z.number(),
  loss: value,
  /** tau^2 KL(p || q); absent without teachers. */
  kd: value.optional(),
  ce: value,
  features: value.optional(),
  /** Mean weight per teacher, in the definition's order. */
  alpha: z.array(z.number()).optional(),
  teacherEntropy: z.array(z.number()).optional(),
  /** Generalised Jensen-Shannon divergence of the teachers under alpha. */
  disagreement: z.number().optional(),
  gradNorm: value,
  learningRate: z.number(),
  /** Differs between two runs. */
  tokensPerSecond: z.number(),
})
export type StepRecord = z.output<typeof stepRecord>

/** What one corpus' held-out split says of the student. */
export const corpusScore = z.object({
  corpus: z.string(),
  tokens: z.number().int(),
  bytes: z.number().int(),
  /** Nats per token. */
  crossEntropy: value,
  perplexity: value,
  bitsPerByte: value,
  /** KL(p || q) to the fused target at tau = 1, nats per token; absent without teachers. */
  klToFused: value.optional(),
  /** L_KD at the run's tau; absent without teachers. */
  distillationLoss: value.optional(),
  /** Top-1 agreement with the fused target, 0..1. */
  agreement: value.optional(),
  /** Mean weight per teacher on this corpus. */
  alpha: z.array(z.number()).optional(),
})
export type CorpusScore = z.output<typeof corpusScore>

/** A line of `metrics.jsonl` for an evaluation; the means weigh each corpus by its scored tokens. */
export const evaluationRecord = z.object({
  split: z.literal('held-out'),
  step: z.number().int().nonnegative(),
  crossEntropy: value,
  perplexity: value,
  bitsPerByte: value,
  klToFused: value.optional(),
  distillationLoss: value.optional(),
  agreement: value.optional(),
  corpora: z.array(corpusScore),
  /** Seconds the evaluation took. Differs between two runs. */
  seconds: z.number(),
  /** A greedy continuation of a held-out prompt, to watch the student learn. */
  sample: z.object({ prompt: z.string(), continuation: z.string() }).optional(),
})
export type EvaluationRecord = z.output<typeof evaluationRecord>

export const metricsLine = z.union([evaluationRecord, stepRecord])
export type MetricsLine = z.output<typeof metricsLine>

export function isEvaluation(line: MetricsLine): line is EvaluationRecord {
  return 'split' in line
}
