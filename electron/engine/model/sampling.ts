import type { Random } from '../random'

/** How the next token is chosen. */
export interface Sampling {
  /** Logits are divided by it; 0 is greedy. */
  temperature: number
  /** Nucleus: the smallest set of tokens whose probability reaches this (Holtzman et al. 2020). */
  topP: number
  /** Only so many of the likeliest (Fan et al. 2018). */
  topK?: number
}

/** So far below the largest, in nats, are tokens looked for that make up a nucleus, until they do. */
const DEPTHS = [3, 6, 12, 24, Infinity]

/** The next token after logits [vocab]. */
export function nextToken(logits: Float32Array, how: Sampling, random: Random): number {
  return how.temperature === 0 ? argMax(logits) : sample(logits, how, random)
}

/** The first of the largest. */
export function argMax(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** The likeliest tokens after logits [vocab], likeliest first, and the probability of any: softmax at temperature 1. */
export function likeliestTokens(
  logits: Float32Array,
  count: number,
): { top: number[]; probabilityOf: (id: number) => number } {
  const max = logits[argMax(logits)]!
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - max))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const top = likeliest(weights, total, 1, Math.min(count, weights.length - 1))
  return {
    top: top.sort((a, b) => weights[b]! - weights[a]! || a - b),
    probabilityOf: (id) => weights[id]! / total,
  }
}

/**
 * Draws from softmax(logits / temperature), cut to the likeliest `topK` and to the nucleus of what is left. One number
 * is drawn, and the tokens share the line from 0 to 1 in the order of their ids: what rounding does to two that are
 * nearly alike then changes nothing.
 */
function sample(logits: Float32Array, { temperature, topP, topK = Infinity }: Sampling, random: Random) {
  const max = logits[argMax(logits)]!
  const weights = new Float64Array(logits.length)
  let total = 0
  for (let i = 0; i < logits.length; i++) total += weights[i] = Math.exp((logits[i]! - max) / temperature)
  const kept = topP >= 1 && topK >= logits.length ? undefined : likeliest(weights, total, topP, topK)
  const count = kept?.length ?? weights.length
  let mass = total
  if (kept) {
    mass = 0
    for (const id of kept) mass += weights[id]!
  }
  let draw = random.next() * mass
  let last = 0
  for (let i = 0; i < count; i++) {
    const id = kept ? kept[i]! : i
    if (!weights[id]) continue
    last = id
    draw -= weights[id]!
    if (draw < 0) return id
  }
  return last
}

/** The tokens that are left, in the order of their ids. */
function likeliest(weights: Float64Array, total: number, topP: number, topK: number): number[] {
  const ranked = topK < weights.length
  const enough = ({ ids, mass }: Near) => (ranked ? ids.length >= topK : mass >= topP * total)
  let found = nearest(weights, DEPTHS[0]!)
  for (let i = 1; i < DEPTHS.length && !enough(found); i++) found = nearest(weights, DEPTHS[i]!)
  found.ids.sort((a, b) => weights[b]! - weights[a]! || a - b)
  const top = ranked ? found.ids.slice(0, topK) : found.ids
  const left = ranked ? top.reduce((sum, id) => sum + weights[id]!, 0) : total
  let kept = 0
  for (let reached = 0; kept < top.length && (!kept || reached < topP * left); kept++)
    reached += weights[top[kept]!]!
  return top.slice(0, kept).sort((a, b) => a - b)
}

interface Near {
  ids: number[]
  mass: number
}

/** The tokens so near to the likeliest, whose weight is 1, and what they weigh. */
function nearest(weights: Float64Array, depth: number): Near {
  const least = Math.exp(-depth)
  const ids: number[] = []
  let mass = 0
  for (let i = 0; i < weights.length; i++) {
    if (weights[i]! < least) continue
    ids.push(i)
    mass += weights[i]!
  }
  return { ids, mass }
}
