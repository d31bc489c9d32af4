import { describe, expect, it } from 'vitest'
import { levelOf, levelRanges, visible } from './levels'

describe('levels of disagreement', () => {
  it('are told by the share of log K', () => {
    expect([0, 0.01, 0.05, 0.2, 0.3, 0.69].map((d) => levelOf(d, 2))).toEqual([0, 0, 1, 3, 3, 4])
    expect(levelOf(0.3, 8)).toBe(2)
  })

  it('name their ranges in nats, up to log K', () => {
    expect(levelRanges(2)).toEqual(['0–0.014', '0.014–0.069', '0.069–0.17', '0.17–0.35', '0.35–0.69'])
  })
})

it('white space can be seen', () => {
  expect([' the', '\n', 'a\tb', ''].map(visible)).toEqual(['␣the', '⏎', 'a⇥b', '⟨special⟩'])
})
