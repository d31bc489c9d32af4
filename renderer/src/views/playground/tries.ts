import { z } from 'zod'

const made = z.object({
  model: z.string(),
  text: z.string(),
  tokens: z.number(),
  tokensPerSecond: z.number(),
})
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
  storage.setItem(KEY, JSON.stringify(now))
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
