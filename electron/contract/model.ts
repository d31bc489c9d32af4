import { z } from 'zod'

const size = z.number().int().positive()

const fields = {
  family: z.literal('llama').default('llama'),
  /** Width of the residual stream. */
  width: size,
  layers: size,
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

type Shape = { width: number; heads: number; kvHeads?: number; hidden?: number }

function complete<T extends Shape>(spec: T): T & { kvHeads: number; hidden: number } {
  return {
    ...spec,
    kvHeads: spec.kvHeads ?? spec.heads,
    hidden: spec.hidden ?? Math.ceil((spec.width * 8) / 3 / 16) * 16,
  }
}

function divisible(spec: Shape, context: z.core.$RefinementCtx): void {
  const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (spec.width % spec.heads) wrong('heads', `${spec.heads} heads do not divide the width ${spec.width}`)
  else if ((spec.width / spec.heads) % 2)
    wrong('heads', 'the width of a head must be even (RoPE rotates pairs)')
  if (spec.kvHeads && spec.heads % spec.kvHeads) {
    wrong('kvHeads', `${spec.kvHeads} key/value heads do not divide ${spec.heads} heads`)
  }
}

/** What a definition says of a model's architecture; the vocabulary comes from the tokenizer. */
export const modelSpec = z.strictObject(fields).superRefine(divisible).transform(complete)
export type ModelSpec = z.output<typeof modelSpec>

/** A student's architecture, and where its first weights come from. */
export const studentSpec = z
  .strictObject({ ...fields, init: z.literal('random').default('random') })
  .superRefine(divisible)
  .transform(complete)
export type StudentSpec = z.output<typeof studentSpec>

/** A model with everything known: what `model.json` beside the weights holds. */
export const modelConfig = z.strictObject({
  family: z.literal('llama'),
  vocab: size,
  width: size,
  layers: size,
  heads: size,
  kvHeads: size,
  hidden: size,
  context: size,
  tied: z.boolean(),
  ropeBase: z.number().positive().default(10000),
  normEpsilon: z.number().positive().default(1e-5),
})
export type ModelConfig = z.output<typeof modelConfig>

/** Parameters of a model, tied weights counted once. */
export function parameterCount(m: ModelConfig): number {
  const kvWidth = (m.width / m.heads) * m.kvHeads
  const layer = 2 * m.width + 2 * m.width * m.width + 2 * kvWidth * m.width + 3 * m.width * m.hidden
  return m.vocab * m.width * (m.tied ? 1 : 2) + m.layers * layer + m.width
}
