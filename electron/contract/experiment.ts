import { z } from 'zod'
import { corpusMixture, mixtureShares } from './corpusMixture'
import { applyMethod, tableMethods } from './methods'
import { modelSpec, objectName } from './model'
import { trainSource, writes } from './source'
import { studentSpec } from './student'
import { teacherUse } from './teacherUse'
import { weighting } from './weighting'

export { objectName }

const positive = z.number().positive()
const count = z.number().int().positive()
const natural = z.number().int().nonnegative()

export const attentionDistances = ['none', 'mse', 'kl'] as const

/** Alignment of hidden states and attention maps: gamma * sum_k beta_k * mean((W_k h_student - h_k)^2). */
export const features = z.strictObject({
  gamma: z.number().nonnegative().default(0.1),
  /** beta_k: one number for all teachers, one each, or `alpha`: each teacher's mean weight of the step. */
  beta: z.union([z.literal('alpha'), z.number().nonnegative(), z.array(z.number().nonnegative())]).default(1),
  /** `last`, `uniform` (every student layer to the teacher layer at the same relative depth), or pairs. */
  layers: z
    .union([
      z.enum(['last', 'uniform']),
      z.array(z.strictObject({ student: natural, teacher: natural })).min(1),
    ])
    .default('last'),
  distance: z.enum(['mse', 'cosine']).default('mse'),
  /** Aligns the embeddings' outputs too. */
  embedding: z.boolean().default(false),
  /** Aligns the mapped layers' attention maps too: their mean squared difference, or KL(teacher || student). */
  attention: z.enum(attentionDistances).default('none'),
  /**
   * The share of the steps, from the first on, that trains on the features alone; after it they are off and the logits
   * alone count (TinyBERT's two stages). 0: both together throughout.
   */
  first: z.number().min(0).lt(1).default(0),
})
export type Features = z.output<typeof features>

export const objectives = [
  'forward-kl',
  'reverse-kl',
  'jsd',
  'skewed-kl',
  'skewed-reverse-kl',
  'top-k',
] as const
export const conflicts = ['none', 'gate', 'drop'] as const
export const comparisons = ['spans', 'uld'] as const

/**
 * How a teacher whose tokenizer is not the student's teaches. Both read the same bytes; where both have a token
 * boundary, they can be compared.
 */
export const foreignTeachers = z.strictObject({
  /**
   * `spans`: the probabilities that both give to the text between two common boundaries (binarised likelihood matching,
   * arXiv 2503.20083); `uld`: the sorted probabilities of the next token at common boundaries (arXiv 2402.12030).
   */
  compare: z.enum(comparisons).default('spans'),
  /** Multiplies what these teachers add to the loss. */
  weight: positive.default(1),
})
export type ForeignTeachers = z.output<typeof foreignTeachers>

/** L = lambda * L_KD + (1 - lambda) * L_CE + gamma * L_feat. */
export const loss = z.strictObject({
  /**
   * The divergence between fused target p and student q: KL(p || q), KL(q || p), generalised JSD, KL(p || m) and
   * KL(q || m) to a skewed mixture (DistiLLM, arXiv 2402.03898), KL on p's top k.
   */
  objective: z.enum(objectives).default('forward-kl'),
  /** Of `jsd`: beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q. */
  beta: z.number().gt(0).lt(1).default(0.5),
  /** Of `skewed-kl`: m = skew p + (1 - skew) q; of `skewed-reverse-kl`: m = (1 - skew) p + skew q. DistiLLM's alpha. */
  skew: z.number().gt(0).lt(1).default(0.1),
  /** Of `top-k`: how many of the target's likeliest tokens are kept; their probabilities are renormalised. */
  topK: count.default(50),
  lambda: z.number().min(0).max(1).default(0.5),
  /** Distillation temperature. */
  tau: positive.default(1),
  /**
   * Where teachers disagree by D: `gate` scales lambda by 1 - D / log K, token by token; `drop` takes the weight from
   * the teachers whose KL to the fused target is above the `quantile` of the step's.
   */
  conflict: z.enum(conflicts).default('none'),
  /** Of `drop`. */
  quantile: z.number().gt(0).lt(1).default(0.9),
  features: z.union([z.literal(false), features]).prefault({}),
  /** Teachers of another tokenizer: L_KD becomes a mean of the fused target's and theirs (engine: distill/foreign). */
  foreign: foreignTeachers.prefault({}),
})
export type Loss = z.output<typeof loss>

export const precisions = ['f32', 'f16'] as const

export const train = z.strictObject({
  steps: count.default(400),
  /** Sequences a step. */
  batch: count.default(16),
  source: trainSource.prefault({}),
  /** Tokens a sequence. */
  context: count.default(128),
  mixture: mixtureShares.optional(),
  /** Draws the batches; default the experiment's own seed. One for all seeds lets a grid share teacher passes. */
  dataSeed: natural.optional(),
  /** Micro-batches a step is split into; `batch` must be a multiple of it. */
  accumulate: count.default(1),
  /** Gradient checkpointing; `layers`: the backward pass computes each layer again instead of keeping its inside. */
  checkpointing: z.enum(['none', 'layers']).default('none'),
  /**
   * Of what a step computes and keeps for its backward pass; `f16`: it waits in half precision, with a loss scale for
   * the gradients. Weights, moments and every operator stay in f32. On `onnx`, and on `webgpu` where the GPU has f16.
   */
  precision: z.enum(precisions).default('f32'),
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
  /** Held-out prompts that the last evaluation continues greedily, for BLEU and ROUGE-L; of conversations it answers. */
  prompts: natural.default(0),
})

export const checkpointing = z.strictObject({
  /** Steps between checkpoints; 0: only the last. */
  every: natural.default(100),
  /** How many of them stay, beside the last and the best. */
  keep: count.default(2),
})

export const cacheModes = ['auto', 'off', 'exact', 'states', 'top-k', 'sample'] as const

/** What `auto` can be for a run. */
export const autoCache = z.enum(['off', 'exact', 'states']).default('off')

/** Whether the teachers' outputs are kept on disk and read again, and how much of them (ENGINE: teachers). */
export const teacherCache = z.strictObject({
  /**
   * `exact` keeps every logit and changes no loss. `states` keeps the last hidden states, which the teacher's head makes
   * the same logits of, chunk by chunk within the loss; of an ONNX file, whose head is not known, every logit. `top-k` keeps the k most probable tokens and spreads the rest of the
   * mass evenly. `sample` keeps draws from the teacher's distribution, an unbiased estimate of it (Sparse Logit
   * Sampling, arXiv 2503.16870). `auto`: where cells of a grid read the same batches the smaller of states and exact, else
   * off.
   */
  mode: z.enum(cacheModes).default('auto'),
  k: count.default(32),
  samples: count.default(64),
  /** Of the states; f16 halves them and is no longer exact. */
  precision: z.enum(['f32', 'f16']).default('f32'),
})
export type TeacherCache = z.output<typeof teacherCache>

/** An earlier run whose student this run goes on with: its teachers and corpora may be others (METHOD: incremental). */
export const continueFrom = z.strictObject({
  /** A run of the library that has ended; its student must have this one's shape and tokenizer. */
  run: objectName,
  checkpoint: z.enum(['best', 'last']).default('best'),
  /**
   * Adds weight * tau^2 KL(earlier self || student) to the loss, against forgetting. The earlier self is frozen and has
   * no part in the teachers' weighting.
   */
  retention: z
    .union([z.literal(false), z.strictObject({ weight: positive.default(0.1), tau: positive.default(1) })])
    .default(false),
})

export const backends = ['auto', 'onnx', 'webgpu', 'tensorflow', 'cpu'] as const
export type Backend = (typeof backends)[number]

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
export const experimentFields = z.strictObject({
  name: objectName,
  /** A row of the paper's Table 1, or a method of the field: fixes the settings that define it (`methods.ts`), whatever else is written. */
  method: z.enum(tableMethods).optional(),
  corpus: corpusMixture,
  /** The student's. Default: the teachers' own, where they agree. */
  tokenizer: objectName.optional(),
  student: studentSpec,
  /** Names in the library; none is cross-entropy only. */
  teachers: z.array(teacherUse),
  weighting: weighting.prefault({}),
  loss: loss.prefault({}),
  train: train.superRefine(multiple).prefault({}),
  evaluate: evaluation.prefault({}),
  checkpoint: checkpointing.prefault({}),
  cache: teacherCache.prefault({}),
  /** Absent: the student begins at `student.init`. */
  continue: continueFrom.optional(),
  seed: natural.default(1),
  backend: z.enum(backends).default('auto'),
})
export const experiment = z.preprocess(applyMethod, experimentFields)
export type Experiment = z.output<typeof experiment>
export type ExperimentInput = z.input<typeof experimentFields>

/** Whether the training loss of this experiment needs its teachers at all. */
export function learnsFromTeachers({ teachers, loss }: Pick<Experiment, 'teachers' | 'loss'>): boolean {
  const gamma = loss.features === false ? 0 : loss.features.gamma
  return teachers.length > 0 && (loss.lambda > 0 || gamma > 0)
}

/** Whether the student is evaluated after this step, from 1. */
export function evaluatesAt(
  { evaluate, train }: Pick<Experiment, 'evaluate' | 'train'>,
  step: number,
): boolean {
  return isDue(evaluate.every, train, step)
}

/** Whether the run writes a checkpoint after this step, from 1, whatever it finds there. */
export function checkpointsAt(
  { checkpoint, train }: Pick<Experiment, 'checkpoint' | 'train'>,
  step: number,
): boolean {
  return isDue(checkpoint.every, train, step)
}

/** @param every 0: at the last step alone */
function isDue(every: number, { steps }: Pick<Experiment['train'], 'steps'>, step: number): boolean {
  return step === steps || (every > 0 && step % every === 0)
}

/** Whether teachers of this experiment whose outputs are kept are read from there; else they are asked themselves. */
export function readsCache(
  { loss, weighting, train }: Pick<Experiment, 'loss' | 'weighting' | 'train'>,
  mode: Exclude<(typeof cacheModes)[number], 'auto' | 'off'>,
): boolean {
  // What the student is going to write nobody has been asked about.
  if (writes(train)) return false
  // What is kept of a distribution at tau is not what a calibrated teacher says.
  const approximate = mode === 'top-k' || mode === 'sample'
  if (weighting.strategy === 'calibrated-entropy' && approximate) return false
  // Attention maps are larger than all else together.
  return loss.features === false || loss.features.gamma === 0 || loss.features.attention === 'none'
}

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
