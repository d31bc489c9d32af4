import { badInput } from '#contract'
import { createRandom, type Random } from '../random'
import type { LanguageModel } from './reader'

export interface GenerateOptions {
  model: Pick<LanguageModel, 'textReader'>
  /** Begins with BOS. */
  promptIds: readonly number[]
  tokens: number
  /** 0 is greedy. */
  temperature: number
  /** Nucleus: the smallest set of tokens whose probability reaches this. */
  topP: number
  seed: number
  /** Ends the text early, not part of it. */
  stopIds?: readonly number[]
  onToken?: (id: number) => void
}

/**
 * Continues a prompt. When the context is full, the last half of it is read anew and generation goes on from there.
 */
export async function generate(
  options: GenerateOptions,
): Promise<{ ids: number[]; tokensPerSecond: number }> {
  const { model, promptIds, tokens, temperature, topP, seed, stopIds = [], onToken } = options
  if (!promptIds.length) throw badInput('the prompt is empty', { field: 'prompt' })
  const random = createRandom(seed, 'generate')
  const started = performance.now()
  const reader = model.textReader()
  const ids: number[] = []
  try {
    const window = promptIds.slice(-reader.context)
    let logits = await reader.read(window)
    while (ids.length < tokens) {
      const id = temperature === 0 ? argMax(logits) : sample(logits, temperature, topP, random)
      if (stopIds.includes(id)) break
      ids.push(id)
      window.push(id)
      onToken?.(id)
      if (ids.length === tokens) break
      if (reader.position === reader.context) {
        window.splice(0, window.length - Math.floor(reader.context / 2))
        reader.reset()
        logits = await reader.read(window)
      } else {
        logits = await reader.read([id])
      }
    }
  } finally {
    reader.dispose()
  }
  return { ids, tokensPerSecond: ids.length / ((performance.now() - started) / 1000) }
}

/** The first of the largest. */
export function argMax(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** Draws from softmax(logits / temperature), cut to its nucleus (Holtzman et al. 2020). */
export function sample(logits: Float32Array, temperature: number, topP: number, random: Random): number {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const weights = Array.from(logits, (z) => Math.exp((z - max) / temperature))
  const total = weights.reduce((a, b) => a + b)
  const order = weights.map((_, i) => i).sort((a, b) => weights[b]! - weights[a]! || a - b)
  let kept = 0
  let mass = 0
  while (kept < order.length && mass < topP * total) mass += weights[order[kept++]!]!
  let draw = random.next() * mass
  for (const id of order.slice(0, kept)) {
    draw -= weights[id]!
    if (draw < 0) return id
  }
  return order[kept - 1]!
}
