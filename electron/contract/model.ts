import { servedModelConfig } from './served'
import { z } from 'zod'
import { architecture, families, LLAMA, UNGROUPED, type Family, type Rotary } from './architecture'

export const objectName = z
  .string()
  .min(1)
  .max(120)
  .regex(/^[^/\\\p{Cc}]+$/u, 'a name has no slashes and no control characters')

const size = z.number().int().positive()

/** More is no model: lists of layers are made before weights are looked at. */
export const MOST_LAYERS = 10_000
export const layerCount = size.max(MOST_LAYERS)

/** What a definition says of a model. */
export const modelFields = {
  family: z.enum(families).default('llama'),
  /** Width of the residual stream. */
  width: size,
  layers: layerCount,
  heads: size,
  /** Key and value heads; fewer than `heads` is grouped-query attention. Default: `heads`. */
  kvHeads: size.optional(),
  /** Width of the feed-forward's inner layer. Default: 8/3 of `width`, rounded up to a multiple of 16. */
  hidden: size.optional(),
  /** Longest sequence the model is made for, in tokens. */
  context: size.default(256),
  /** Whether the output head shares the token embedding. */
  tied: z.boolean().default(true),
}

type Shape = { family: Family; width: number; heads: number; kvHeads?: number; hidden?: number }

export function complete<T extends Shape>(spec: T): T & { kvHeads: number; hidden: number } {
  return {
    ...spec,
    kvHeads: spec.kvHeads ?? spec.heads,
    hidden: spec.hidden ?? Math.ceil((spec.width * 8) / 3 / 16) * 16,
  }
}

export function divisible(spec: Shape, context: z.core.$RefinementCtx): void {
  const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (spec.width % spec.heads) wrong('heads', `${spec.heads} heads do not divide the width ${spec.width}`)
  else if ((spec.width / spec.heads) % 2)
    wrong('heads', 'the width of a head must be even (RoPE rotates pairs)')
  if (spec.kvHeads && spec.heads % spec.kvHeads) {
    wrong('kvHeads', `${spec.kvHeads} key/value heads do not divide ${spec.heads} heads`)
  }
  if (spec.kvHeads && spec.kvHeads !== spec.heads && UNGROUPED.includes(spec.family))
    wrong('kvHeads', `a model of the family ${spec.family} has as many of them as heads`)
}

/** What a definition says of a model's architecture; the vocabulary comes from the tokenizer. */
export const modelSpec = z.strictObject(modelFields).superRefine(divisible).transform(complete)
export type ModelSpec = z.output<typeof modelSpec>

/**
 * A student's first weights. `teacher`: from the first teacher whose shapes allow it, every other layer or as many as
 * the student has, and at random where no teacher's do. A teacher that is named must fit. `layers`: `first`,
 * `every-other` (evenly spread, the last always among them), or the teacher's layers by number from 1.
 */
export const studentInit = z.union([
  z.enum(['random', 'teacher']),
  z.strictObject({
    teacher: objectName,
    layers: z.union([z.enum(['first', 'every-other']), z.array(size).min(1)]).default('every-other'),
  }),
])
export type StudentInit = z.output<typeof studentInit>

/** A model with everything known: what `model.json` beside the weights holds. */
export const modelConfig = z.strictObject({
  family: z.enum(families),
  /** Ids that have a probability: its tokenizer's. */
  vocab: size,
  /** Rows of embedding and head, where they are more than ids. */
  rows: size.optional(),
  width: size,
  layers: layerCount,
  heads: size,
  kvHeads: size,
  hidden: size,
  context: size,
  tied: z.boolean(),
  ropeBase: z.number().positive().default(10000),
  normEpsilon: z.number().positive().default(1e-5),
  /** Width of a head, where that is not `width / heads`. */
  headSize: size.optional(),
  /** What it computes, where that is not what a Llama does. */
  architecture: architecture.optional(),
})
export type ModelConfig = z.output<typeof modelConfig>

/** A model that its ONNX file alone knows: it maps token ids to logits, and may give hidden states beside them. */
export const onnxModelConfig = z.strictObject({
  family: z.literal('onnx'),
  /** Ids that have a probability: its tokenizer's. */
  vocab: size,
  /** Logits that it gives for each token, where they are more than ids. */
  rows: size.optional(),
  /** Longest sequence that it was made for; absent where the file does not tell. */
  context: size.optional(),
  /**
   * Its hidden states: outputs `hidden_states.0` (of the embedding) to `hidden_states.N` (of layer N = `layers`), or
   * `last_hidden_state` alone, which counts as that of layer 1.
   */
  hidden: z.strictObject({ width: size, layers: size, last: z.literal(true).optional() }).optional(),
})
export type OnnxModelConfig = z.output<typeof onnxModelConfig>

/** A teacher's model: one of ours, an ONNX file, or one behind a server. */
export const teacherModel = z.discriminatedUnion('family', [modelConfig, onnxModelConfig, servedModelConfig])
export type TeacherModel = z.output<typeof teacherModel>

/** Whether a model is one of ours, whose layers can be read: not an ONNX file, and not behind a server. */
export function hasLayers(model: TeacherModel): model is ModelConfig {
  return model.family !== 'onnx' && model.family !== 'served'
}

/** Tokens of the longest sequence that a model reads. */
export function longestSequence({ context = Infinity }: TeacherModel): number {
  return context
}

/** Width of its hidden states; 0 where they cannot be seen. */
export function hiddenWidth(model: TeacherModel): number {
  if (model.family === 'served') return 0
  return model.family === 'onnx' ? (model.hidden?.width ?? 0) : model.width
}

export function headSize({ headSize: own, width, heads }: ModelConfig): number {
  return own ?? width / heads
}

/** Tokens that a token of a layer looks at, itself among them; infinite where it looks at all before it. */
export function windowOf({ architecture: { attention } = LLAMA }: ModelConfig, layer: number): number {
  return attention.windows?.[layer] ?? Infinity
}

/** The different windows of its layers. */
export function windowsOf(config: ModelConfig): Set<number> {
  return new Set(Array.from({ length: config.layers }, (_, layer) => windowOf(config, layer)))
}

/** Which of the architecture's rotary positions a layer has, if any. */
export function rotaryOf(
  { architecture: { positions } = LLAMA }: ModelConfig,
  layer: number,
): number | undefined {
  const chosen = positions.byLayer ? positions.byLayer[layer] : 0
  return chosen === null || chosen === undefined || chosen >= positions.rotary.length ? undefined : chosen
}

/** Rotary positions with everything known: base, and of a head the dimensions that are turned. */
export function rotaries(config: ModelConfig): (Rotary & { base: number; dimensions: number })[] {
  const { positions } = config.architecture ?? LLAMA
  return positions.rotary.map(({ base = config.ropeBase, dimensions = headSize(config), scaling }) => {
    return { base, dimensions, scaling }
  })
}

/** What the scores of a layer's queries and keys are multiplied by. */
export function attentionScale(config: ModelConfig, layer: number): number {
  const { scale = 1 / Math.sqrt(headSize(config)), byDepth } = (config.architecture ?? LLAMA).attention
  return byDepth ? scale / (layer + 1) : scale
}
