import { headSize, rotaries, weightShapes, type ModelConfig } from '#contract'

/**
 * Three sizes that no other size of the model is a multiple of, so that the batch's are told from them wherever they
 * appear. They are short enough for attention to take the queries in one block.
 */
export function strangers(config: ModelConfig): number[] {
  const { heads, kvHeads, hidden, context } = config
  const shapes = [...weightShapes(config).values()].flat()
  const dimensions = rotaries(config).flatMap((rotary) => [rotary.dimensions, rotary.dimensions / 2])
  const sizes = [...shapes, ...dimensions, heads, kvHeads, hidden, context, headSize(config)]
  const primes = [251, 241, 239, 233, 229, 227, 223, 211, 199, 197, 193, 191, 181, 179, 173, 167]
  return primes.filter((prime) => sizes.every((size) => size % prime)).slice(0, 3)
}
