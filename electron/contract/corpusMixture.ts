import { z } from 'zod'
import { objectName } from './model'

const positive = z.number().positive()

export const lossTokens = ['assistant', 'all'] as const
export const packings = ['documents', 'windows'] as const
export const namedTemplates = ['chatml'] as const

/** How a corpus is read; what is left out is decided by what it holds (`tokenReadingOf`). */
export const corpusUse = {
  /** Which tokens count in losses and metrics: the assistant's, with the end of its turns, or all. Of conversations: the assistant's. */
  loss: z.enum(lossTokens).optional(),
  /**
   * `documents`: a document a sequence, cut or filled up to the context, so that none sees another; `windows`: from
   * anywhere in the text on. Of conversations: documents, else windows.
   */
  packing: z.enum(packings).optional(),
  /** Writes conversations in place of the tokenizer's own chat template. */
  template: z.enum(namedTemplates).optional(),
}

/** How a corpus is read by a run, with nothing left open. */
export const tokenReading = z.strictObject({
  loss: z.enum(lossTokens),
  packing: z.enum(packings),
  template: z.enum(namedTemplates).optional(),
})
export type TokenReading = z.output<typeof tokenReading>

/** A weighted mixture; one name alone stands for a mixture of one. */
export const corpusMixture = z
  .union([
    objectName,
    z
      .array(z.strictObject({ name: objectName, weight: positive.default(1), ...corpusUse }))
      .min(1, 'name at least one corpus'),
  ])
  .transform((value) => (typeof value === 'string' ? [{ name: value, weight: 1 }] : value))
export type CorpusMixture = z.output<typeof corpusMixture>
