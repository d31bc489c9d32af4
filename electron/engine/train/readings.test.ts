import { expect, it } from 'vitest'
import { drawnWeight } from '#contract'
import { createBatchPlan } from '../data/batchPlan'
import { meanDrawn } from '../distill/weighting'
import { epochsText } from './plan'
import { runConfig } from './testing'

it('draws corpora by weight, by tokens and by temperature', () => {
  const tokens = [900, 100]
  const shares = (by?: 'weight' | 'tokens', temperature = 1) => {
    const drawn = [3, 1].map((weight, i) => drawnWeight(weight, tokens[i]!, by && { by, temperature }))
    const sum = drawn.reduce((a, b) => a + b)
    return drawn.map((one) => one / sum)
  }
  expect(shares()).toEqual([0.75, 0.25])
  expect(shares('weight', 2)[0]).toBeCloseTo(Math.sqrt(3) / (Math.sqrt(3) + 1), 12)
  expect(shares('tokens')[0]).toBeCloseTo(27 / 28, 12)
  expect(shares('tokens', 3)[0]).toBeCloseTo(3 / 4, 12)
  expect(shares('tokens', 1e9)[0]).toBeCloseTo(0.5, 6)
})

it('gives routed teachers the mean weight that their corpora are drawn by', () => {
  const corpus = [
    { name: 'web', weight: 3 },
    { name: 'plays', weight: 1 },
  ]
  const weighting = { strategy: 'routed', routes: { web: 'teacher 1', plays: 'teacher 0' } }
  const { experiment } = runConfig({ corpus, weighting })
  const drawn = [900, 100].map((tokens, i) =>
    drawnWeight(corpus[i]!.weight, tokens, { by: 'tokens', temperature: 1 }),
  )
  const means = meanDrawn(experiment, drawn)!
  expect(means[0]).toBeCloseTo(1 / 28, 12)
  expect(means[1]).toBeCloseTo(27 / 28, 12)
})

it('counts the epochs that the plan reads', () => {
  const ids = (count: number) => Int32Array.from({ length: count }, (_, i) => i)
  const sources = [
    { name: 'windows', weight: 3, tokens: { ids: ids(5000) } },
    { name: 'documents', weight: 1, tokens: { ids: ids(40), documents: Int32Array.of(0, 15, 15, 40) } },
  ]
  const train = { steps: 50, batch: 20, context: 10 }
  const counts = [
    { name: 'windows', weight: 3, tokens: 5000 },
    { name: 'documents', weight: 1, tokens: 40, sequences: 2 },
  ]
  expect(epochsText(counts, train)).toEqual([
    'corpus "windows" has 75.0 % of the sequences: 1.50 epochs of its 5000 tokens in 50 steps',
    'corpus "documents" has 25.0 % of the sequences: 125 epochs of its 40 tokens in 50 steps',
  ])
  const plan = createBatchPlan({ seed: 1, ...train, sources })
  let drawn = 0
  for (let step = 1; step <= 50; step++) drawn += plan.at(step).corpora.filter((one) => one === 1).length
  expect(Math.abs(drawn - 250)).toBeLessThan(70)
})
