import { z } from 'zod'
import { modelSpec, studentSpec } from './model'

const positive = z.number().positive()
const count = z.number().int().positive()
const natural = z.number().int().nonnegative()
export const objectName = z
  .string()
  .min(1)
  .max(120)
  .regex(/^[^/\\\p{Cc}]+$/u, 'a name has no slashes and no control characters')

/** A weighted mixture; one name alone stands for a mixture of one. */
export const corpusMixture = z
  .union([
    objectName,
    z
      .array(z.strictObject({ name: objectName, weight: positive.default(1) }))
      .min(1, 'name at least one corpus'),
  ])
  .transform((value) => (typeof value === 'string' ? [{ name: value, weight: 1 }] : value))

export const weightingStrategies = ['uniform', 'entropy', 'inverse-entropy'] as const
export const granularities = ['token', 'sequence', 'batch'] as const

/** How the teachers' weights alpha come about (METHOD: teacher weightings). */
export const weighting = z.strictObject({
  strategy: z.enum(weightingStrategies).default('entropy'),
  granularity: z.enum(granularities).default('token'),
  /** T_w: the weighting temperature of the softmax over teachers. */
  temperature: positive.default(1),
  fusion: z.enum(['arithmetic', 'geometric']).default('arithmetic'),
})
export type Weighting = z.output<typeof weighting>

/** Alignment of hidden states: gamma * sum_k beta_k * mean((W_k h_student - h_k)^2). */
export const features = z.strictObject({
  gamma: z.number().nonnegative().default(0.1),
  /** beta_k: one number for all teachers, or one each. */
  beta: z.union([z.number().nonnegative(), z.array(z.number().nonnegative())]).default(1),
  /** `last`, `uniform` (every student layer to the teacher layer at the same relative depth), or pairs. */
  layers: z
    .union([
      z.enum(['last', 'uniform']),
      z.array(z.strictObject({ student: natural, teacher: natural })).min(1),
    ])
    .default('last'),
  distance: z.enum(['mse', 'cosine']).default('mse'),
})
export type Features = z.output<typeof features>

/** L = lambda * L_KD + (1 - lambda) * L_CE + gamma * L_feat. */
export const loss = z.strictObject({
  objective: z.enum(['forward-kl']).default('forward-kl'),
  lambda: z.number().min(0).max(1).default(0.5),
  /** Distillation temperature. */
  tau: positive.default(1),
  conflict: z.enum(['none']).default('none'),
  features: z.union([z.literal(false), features]).prefault({}),
})
export type Loss = z.output<typeof loss>

export const train = z.strictObject({
  steps: count.default(400),
  /** Sequences a step. */
  batch: count.default(16),
  /** Tokens a sequence. */
  context: count.default(128),
  /** Micro-batches a step is split into; `batch` must be a multiple of it. */
  accumulate: count.default(1),
  learningRate: positive.default(1e-3),
  warmup: natural.default(40),
  schedule: z.enum(['cosine', 'constant']).default('cosine'),
  weightDecay: z.number().nonnegative().default(0.1),
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.95]),
  /** Global-norm clipping; 0 is off. */
  clip: z.number().nonnegative().default(1),
})
export type Train = z.output<typeof train>

export const evaluation = z.strictObject({
  /** Steps between evaluations; the last step is always evaluated. 0: only then. */
  every: natural.default(100),
  /** Held-out tokens per corpus that an evaluation scores. */
  tokens: count.default(20000),
  /** Held-out prompts that the last evaluation continues greedily, for BLEU and ROUGE-L. */
  prompts: natural.default(0),
})

export const checkpointing = z.strictObject({
  /** Steps between checkpoints; 0: only the last. */
  every: natural.default(100),
  /** How many of them stay, beside the last and the best. */
  keep: count.default(2),
})

export const backends = ['auto', 'onnx', 'webgpu', 'tensorflow', 'cpu'] as const

function multiple(t: { batch: number; accumulate: number }, context: z.core.$RefinementCtx): void {
  if (t.batch % t.accumulate) {
    context.addIssue({
      code: 'custom',
      path: ['accumulate'],
      message: `the batch of ${t.batch} sequences is not a multiple of ${t.accumulate} micro-batches`,
    })
  }
}

/** The definition of an experiment: what a YAML file or the form says (EXPERIMENT.md). */
export const experiment = z.strictObject({
  name: objectName,
  corpus: corpusMixture,
  /** Default: the teachers' own, which must agree. */
  tokenizer: objectName.optional(),
  student: studentSpec,
  /** Names in the library; none is cross-entropy only. */
  teachers: z.array(objectName),
  weighting: weighting.prefault({}),
  loss: loss.prefault({}),
  train: train.superRefine(multiple).prefault({}),
  evaluate: evaluation.prefault({}),
  checkpoint: checkpointing.prefault({}),
  seed: natural.default(1),
  backend: z.enum(backends).default('auto'),
})
export type Experiment = z.output<typeof experiment>
export type ExperimentInput = z.input<typeof experiment>

/** A teacher made here: cross-entropy training of one model on a corpus. */
export const teacherDefinition = z.strictObject({
  name: objectName,
  corpus: corpusMixture,
  /** A tokenizer of the library, or a teacher whose tokenizer it shares. */
  tokenizer: objectName,
  model: modelSpec,
  train: train.superRefine(multiple).prefault({}),
  evaluate: evaluation.prefault({}),
  checkpoint: checkpointing.prefault({}),
  seed: natural.default(1),
  backend: z.enum(backends).default('auto'),
})
export type TeacherDefinition = z.output<typeof teacherDefinition>
export type TeacherDefinitionInput = z.input<typeof teacherDefinition>
