import { z } from 'zod'
import { measured } from './measured'
import { parse } from './parse'
import { writtenFigures } from './source'

/** A line of `metrics.jsonl` for one training step (EXPERIMENT.md). Entropies and divergences in nats per token. */
export const stepRecord = z.object({
  step: z.number().int().positive(),
  /** Training tokens seen since the start of the run. */
  tokens: z.number().int(),
  /** Seconds of training since the start of the run, pauses left out. Differs between two runs. */
  seconds: z.number(),
  loss: measured,
  /** tau^2 KL(p || q); absent without teachers. */
  kd: measured.optional(),
  /** Absent from a step that has no text of a corpus. */
  ce: measured.optional(),
  features: measured.optional(),
  /** tau^2 KL(earlier self || student); absent without retention. */
  retention: measured.optional(),
  /** Per teacher of another tokenizer, in the definition's order: its distance to the student, before its share. */
  foreign: z.array(measured).optional(),
  /** Mean weight per teacher that has the student's tokenizer, in the definition's order. */
  alpha: z.array(measured).optional(),
  teacherEntropy: z.array(measured).optional(),
  /** Generalised Jensen-Shannon divergence of the teachers under alpha. */
  disagreement: measured.optional(),
  /** Of a step that learns on the student's own text too. */
  written: writtenFigures.optional(),
  gradNorm: measured,
  /** Of a run in half precision: the factor of the step's loss; where `gradNorm` is not finite there was no update. */
  lossScale: z.number().optional(),
  learningRate: z.number(),
  /** Differs between two runs. */
  tokensPerSecond: z.number(),
})
export type StepRecord = z.output<typeof stepRecord>

/** Of a corpus' held-out split, or the means over several. */
const scores = {
  /** Nats per token. */
  crossEntropy: measured,
  perplexity: measured,
  bitsPerByte: measured,
  /** KL(p || q) to the fused target at tau = 1, nats per token; absent without teachers. */
  klToFused: measured.optional(),
  /** L_KD at the run's tau; absent without teachers. */
  distillationLoss: measured.optional(),
  /** Top-1 agreement with the fused target, 0..1. */
  agreement: measured.optional(),
}

/** What one corpus' held-out split says of the student. */
export const corpusScore = z.object({
  corpus: z.string(),
  tokens: z.number().int(),
  bytes: z.number().int(),
  ...scores,
  /** Mean weight per teacher on this corpus. */
  alpha: z.array(measured).optional(),
  /** Mean distance to each teacher of another tokenizer, over the aligned spans. */
  foreign: z.array(measured).optional(),
})
export type CorpusScore = z.output<typeof corpusScore>

/** A bar of a reliability diagram: predictions of like confidence, and how often they were right. */
export const reliabilityBin = z.object({
  count: z.number().int(),
  confidence: measured,
  accuracy: z.number(),
})
export type ReliabilityBin = z.output<typeof reliabilityBin>

/** Calibration of one model on held-out tokens (METHOD: calibration). */
export const calibrationScore = z.object({
  /** `student`, or a teacher's name. */
  model: z.string(),
  /** Top-1 accuracy, 0..1. */
  accuracy: z.number(),
  /** Expected calibration error over 15 bins of equal mass, 0..1. */
  ece: measured,
  /** 0..2. */
  brier: measured,
  bins: z.array(reliabilityBin),
})
export type CalibrationScore = z.output<typeof calibrationScore>

/** A line of `heldout.jsonl`: what the last evaluation of a run made of one held-out document. */
export const heldOutDocument = z.object({
  corpus: z.string(),
  /** Its number within the held-out split. */
  document: z.number().int().nonnegative(),
  tokens: z.number().int(),
  bytes: z.number().int(),
  /** Sum over its tokens, nats. */
  nll: measured,
})
export type HeldOutDocument = z.output<typeof heldOutDocument>

/** A held-out prompt with what comes next in the text, and what the model says instead (greedy). */
export const continuation = z.object({ prompt: z.string(), reference: z.string(), text: z.string() })
export type Continuation = z.output<typeof continuation>

/** `evaluation.json` of a run folder: what the last evaluation found out beyond its record. */
export const evaluationDetail = z.object({
  step: z.number().int(),
  /** The student, then each teacher. */
  calibration: z.array(calibrationScore),
  continuations: z.array(continuation),
})
export type EvaluationDetail = z.output<typeof evaluationDetail>

/** A line of `metrics.jsonl` for an evaluation; the means weigh each corpus by its scored tokens. */
export const evaluationRecord = z.object({
  split: z.literal('held-out'),
  step: z.number().int().nonnegative(),
  ...scores,
  /** Mean entropy of the student, nats per token. */
  studentEntropy: measured.optional(),
  /** The student's most frequent top-1 token: its share of the positions, and that of the labels which are this token. */
  topToken: z.object({ share: z.number(), labels: z.number() }).optional(),
  foreign: z.array(measured).optional(),
  corpora: z.array(corpusScore),
  /** The rest is measured at the last step of a run: calibration of the student, 0..1 and 0..2. */
  ece: measured.optional(),
  brier: measured.optional(),
  /** KL(p_k || q) of each teacher, nats per token. */
  klToTeachers: z.array(measured).optional(),
  /** Spearman's correlation, over tokens and teachers, of a teacher's weight with its being right; null: undefined. */
  weightCorrectness: measured.nullable().optional(),
  /** Of greedy continuations of held-out prompts against the text itself: 0..100, and 0..1. */
  bleu: z.number().optional(),
  rougeL: z.number().optional(),
  /** Of conversations: the share of held-out answers, written greedily, that are the very one; 0..1. */
  exactAnswers: z.number().optional(),
  /** A continued run: scores on the earlier run's corpora that it no longer trains on. They enter no mean. */
  retained: z.array(corpusScore).optional(),
  /** Seconds the evaluation took. Differs between two runs. */
  seconds: z.number(),
  /** A greedy continuation of a held-out prompt, to watch the student learn. */
  sample: z.object({ prompt: z.string(), continuation: z.string() }).optional(),
})
export type EvaluationRecord = z.output<typeof evaluationRecord>

export type MetricsLine = EvaluationRecord | StepRecord

/**
 * A line of `metrics.jsonl`.
 *
 * @param where the file and the line, for the message
 * @throws bad-input when it is none
 */
export function parseMetricsLine(value: unknown, where: string): MetricsLine {
  const evaluation = typeof value === 'object' && value !== null && 'split' in value
  return evaluation ? parse(evaluationRecord, value, where) : parse(stepRecord, value, where)
}

export function isEvaluation(line: MetricsLine): line is EvaluationRecord {
  return 'split' in line
}
