import { z } from 'zod'
import { objectName } from './model'

const positive = z.number().positive()

export const lossTokens = ['assistant', 'all'] as const
export const packings = ['documents', 'packed', 'windows'] as const
export const namedTemplates = ['chatml', 'plain'] as const

/** How a corpus is read; what is left out is decided by what it holds (`tokenReadingOf`). */
export const corpusUse = {
  /** Which tokens count in losses and metrics: the assistant's, with the end of its turns, or all. Of conversations: the assistant's. */
  loss: z.enum(lossTokens).optional(),
  /**
   * `documents`: a document a sequence, cut or filled up to the context, so that none sees another; `packed`: as many
   * documents a sequence as fit, none of which sees another either; `windows`: from anywhere in the text on. Of
   * conversations: documents, else windows.
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

export const sharedBy = ['weight', 'tokens'] as const

/** What share of the sequences each corpus of a mixture has. */
export const mixtureShares = z.strictObject({
  /** `weight`: as its weight; `tokens`: as its weight times the tokens of its training split. */
  by: z.enum(sharedBy).default('weight'),
  /** T: shares are raised to 1 / T; above 1 small corpora are drawn more often than they are large. */
  temperature: positive.default(1),
})
export type MixtureShares = z.output<typeof mixtureShares>

/**
 * The weights that corpora are drawn by, up to a factor: (weight * tokens)^(1 / T), tokens only where shares go by them.
 *
 * @param shares absent: by weight alone
 */
export function drawnWeight(weight: number, tokens: number, shares?: MixtureShares): number {
  if (!shares) return weight
  return (weight * (shares.by === 'tokens' ? tokens : 1)) ** (1 / shares.temperature)
}

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
