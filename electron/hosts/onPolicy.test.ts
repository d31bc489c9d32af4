import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { Run } from '#contract'
import { RunFolder } from '../store'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
const shape = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 4, batch: 4, context: 24, learningRate: 0.003, warmup: 2 }
const evaluate = { every: 0, tokens: 200 }
const source = { tokens: 8, prompts: { tokens: 6 } }

beforeAll(async () => {
  furnished = await openFurnished()
  for (const [name, corpus] of [
    ['cook', 'recipes'],
    ['clerk', 'sums'],
  ])
    await furnished.teach({ name, corpus, tokenizer: 'bpe', model: shape, train, evaluate })
}, 60_000)
afterAll(() => furnished.close())

function ran(method: string): Promise<Run> {
  const definition = {
    name: method,
    method,
    corpus: [{ name: 'recipes' }, { name: 'sums' }],
    student: shape,
    teachers: ['cook', 'clerk'],
    weighting: { routes: { recipes: 'cook', sums: 'clerk' } },
    train: { ...train, source },
    evaluate,
  }
  const { experiments } = furnished.services.rooms
  return furnished.completed(experiments.start({ definition: stringify(definition) }).id)
}

it.each([
  ['gkd', 2],
  ['opd', 4],
  ['mopd', 4],
  ['entropy-opd', 4],
])(
  '%s learns on what the student writes',
  async (method, written) => {
    const run = await ran(method)
    expect(run.method).toBe(method)
    const { steps } = new RunFolder(furnished.dataDir, run.id).metrics()
    expect(steps.map((step) => step.written?.sequences)).toEqual([written, written, written, written])
    const weights = run.evaluation!.corpora.map(({ alpha }) => alpha!)
    if (method === 'mopd') {
      expect(weights).toEqual([
        [1, 0],
        [0, 1],
      ])
    } else for (const row of weights) for (const weight of row) expect(weight).toBeGreaterThan(0.1)
  },
  60_000,
)
