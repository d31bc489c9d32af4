import { z } from 'zod'

/** What it costs to multiply a teacher's matrices in 8 bits, measured on held-out text. */
export const int8Cost = z.strictObject({
  /** Their ids. */
  corpora: z.array(z.string()).min(1),
  /** Tokens it was measured on. */
  tokens: z.number().int().positive(),
  /** KL(teacher in f32 || teacher in 8 bits), nats per token. */
  kl: z.number(),
  /** Perplexities in f32 and in 8 bits. */
  perplexity: z.strictObject({ f32: z.number(), int8: z.number() }),
})
export type Int8Cost = z.output<typeof int8Cost>

/** What it costs to have a teacher in 8 bits, in a few words. */
export function int8Words(cost?: Int8Cost): string {
  if (!cost) return 'what 8 bits cost is not measured'
  const [own, exact] = [cost.perplexity.int8, cost.perplexity.f32].map((value) => value.toPrecision(5))
  return `8 bits cost ${cost.kl.toPrecision(2)} nats a token (KL), perplexity ${own} where f32 has ${exact}`
}
