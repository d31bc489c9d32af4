import { describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { likeliestTokens, nextToken, type Sampling } from './sampling'

const VOCAB = 300
const random = createRandom(1, 'logits')
const logits = Float32Array.from({ length: VOCAB }, () => 3 * random.normal())

/** What a token's probability is after the cuts, from their definitions: all tokens sorted, no short ways. */
function probabilities({ temperature, topP, topK = VOCAB }: Sampling): number[] {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, topK)
  const of = (ids: readonly number[]) => {
    const weights = ids.map((id) => Math.exp(logits[id]! / temperature))
    const total = weights.reduce((a, b) => a + b)
    return weights.map((w) => w / total)
  }
  let mass = 0
  const nucleus = order.slice(0, 1 + of(order).findIndex((p) => (mass += p) >= topP - 1e-12))
  const result = Array.from({ length: VOCAB }, () => 0)
  for (const [i, p] of of(nucleus).entries()) result[nucleus[i]!] = p
  return result
}

describe('the next token', () => {
  it.each<Sampling>([
    { temperature: 1, topP: 1 },
    { temperature: 2.5, topP: 1 },
    { temperature: 1, topP: 0.9 },
    { temperature: 4, topP: 0.5 },
    { temperature: 1, topP: 1, topK: 5 },
    { temperature: 3, topP: 0.6, topK: 40 },
    { temperature: 1, topP: 0.3, topK: 2 },
  ])('is where the drawn number falls among what is left: %o', (how) => {
    const expected = probabilities(how)
    for (let i = 0; i < 200; i++) {
      const drawn = (i + 0.5) / 200
      const id = nextToken(logits, how, { ...random, next: () => drawn })
      const before = expected.slice(0, id).reduce((a, b) => a + b, 0)
      expect(expected[id]).toBeGreaterThan(0)
      expect(drawn).toBeGreaterThan(before - 1e-9)
      expect(drawn).toBeLessThan(before + expected[id]! + 1e-9)
    }
  })

  it('is the first of the likeliest without temperature, and of what is certain always', () => {
    expect(nextToken(Float32Array.of(0, 2, 2, 1), { temperature: 0, topP: 1 }, random)).toBe(1)
    const certain = Float32Array.of(-Infinity, 0, -1e9)
    for (const next of [0, 0.5, 1 - 2 ** -32])
      expect(nextToken(certain, { temperature: 1, topP: 1 }, { ...random, next: () => next })).toBe(1)
  })
})

it('the likeliest are told with their probabilities at temperature 1, likeliest first', () => {
  const three = Float32Array.of(Math.log(1), Math.log(6), Math.log(3))
  const { top, probabilityOf } = likeliestTokens(three, 2)
  expect(top).toEqual([1, 2])
  expect([0, 1, 2].map(probabilityOf).map((p) => Number(p.toFixed(6)))).toEqual([0.1, 0.6, 0.3])
})
