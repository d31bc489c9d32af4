import { z } from 'zod'

const made = z.object({
  model: z.string(),
  text: z.string(),
  tokens: z.number(),
  /** Absent of a text that was stopped. */
  tokensPerSecond: z.number().optional(),
  written: z
    .array(
      z.object({
        text: z.string(),
        probability: z.number(),
        alternatives: z.array(z.object({ text: z.string(), probability: z.number() })),
      }),
    )
    .optional(),
})
export type Made = z.output<typeof made>
const attempt = z.object({
  prompt: z.string(),
  /** How it was drawn, in words. */
  how: z.string(),
  made: z.array(made),
})
/** A prompt, and what each model made of it. */
export type Attempt = z.output<typeof attempt>

const KEY = 'retort-playground'
/** More are not looked at again. */
export const MOST_ATTEMPTS = 30

/** What was tried in this tab, newest first; what cannot be read is forgotten. */
export function keptAttempts(storage: Pick<Storage, 'getItem'>): Attempt[] {
  try {
    return z.array(attempt).parse(JSON.parse(storage.getItem(KEY) ?? '[]'))
  } catch {
    return []
  }
}

/** The attempts with one more in front; the oldest go. */
export function keepAttempt(
  storage: Pick<Storage, 'setItem'>,
  before: readonly Attempt[],
  one: Attempt,
): Attempt[] {
  const now = [one, ...before].slice(0, MOST_ATTEMPTS)
  // A tab's storage is small: a reload has the texts, and of the last one its alternatives.
  const kept = now.map((attempt, i) =>
    i ? { ...attempt, made: attempt.made.map(({ written: _, ...text }) => text) } : attempt,
  )
  storage.setItem(KEY, JSON.stringify(kept))
  return now
}

/** How texts are drawn, where it matters: greedily, or by temperature, nucleus and seed. */
export function drawingWords({
  tokens,
  temperature,
  topP,
  seed,
}: {
  tokens: number
  temperature: number
  topP: number
  seed: number
}): string {
  const drawn = temperature === 0 ? 'greedy' : `temperature ${temperature}, top p ${topP}, seed ${seed}`
  return `${tokens} tokens, ${drawn}`
}
