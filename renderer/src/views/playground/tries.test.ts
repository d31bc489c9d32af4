import { describe, expect, it } from 'vitest'
import { drawingWords, keepAttempt, keptAttempts, MOST_ATTEMPTS, type Attempt } from './tries'

const storage = () => {
  const held = new Map<string, string>()
  return {
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
  }
}
const attempt = (prompt: string): Attempt => ({
  prompt,
  how: 'greedy',
  made: [{ model: 'cook', text: ' on', tokens: 1, tokensPerSecond: 9 }],
})

describe('what was tried', () => {
  it('is there again, newest first, and no more than is looked at', () => {
    const kept = storage()
    let now = keptAttempts(kept)
    expect(now).toEqual([])
    for (let i = 0; i < MOST_ATTEMPTS + 3; i++) now = keepAttempt(kept, now, attempt(`p${i}`))
    expect(keptAttempts(kept)).toEqual(now)
    expect(now.map(({ prompt }) => prompt)).toEqual(
      Array.from({ length: MOST_ATTEMPTS }, (_, i) => `p${MOST_ATTEMPTS + 2 - i}`),
    )
  })

  it('is forgotten where it cannot be read', () => {
    for (const text of ['{', '{}', '[{"prompt":1}]'])
      expect(keptAttempts({ getItem: () => text })).toEqual([])
  })

  it('says how it was drawn, where that matters', () => {
    const how = { tokens: 5, topP: 0.9, seed: 3 }
    expect(drawingWords({ ...how, temperature: 0 })).toBe('5 tokens, greedy')
    expect(drawingWords({ ...how, temperature: 0.7 })).toBe('5 tokens, temperature 0.7, top p 0.9, seed 3')
  })
})
