import { describe, expect, it } from 'vitest'
import { experiment, objectives, parse } from '#contract'
import { resolveExperiment } from './resolve'
import { corpus, smallTeacher, tokenizer } from './testing'

const library = {
  corpora: [corpus],
  tokenizers: [tokenizer('bpe', 'a')],
  teachers: [smallTeacher('cook', 'bpe'), smallTeacher('baker', 'bpe')],
  runs: [],
  dataDir: '/nowhere',
}

function resolve(changes: Record<string, unknown> = {}) {
  const definition = {
    name: 'e',
    corpus: 'recipes',
    student: { width: 8, layers: 1, heads: 1, context: 16 },
    teachers: ['cook', 'baker'],
    ...changes,
  }
  return resolveExperiment(parse(experiment, definition), library, 'e.yaml')
}

describe('objectives', () => {
  it('go with sampled outputs of teachers where they are linear in them', () => {
    const of = (objective: string, mode: string) => () => resolve({ loss: { objective }, cache: { mode } })
    for (const objective of objectives) {
      expect(of(objective, 'top-k')).not.toThrow()
      if (['forward-kl', 'top-k'].includes(objective)) expect(of(objective, 'sample')).not.toThrow()
      else {
        expect(of(objective, 'sample')).toThrow(
          'e.yaml: cache.mode: sampled teacher outputs cannot go with loss.objective as it is',
        )
      }
    }
  })

  it('mix no side to nothing', () => {
    const skewed = (skew: number) => () => resolve({ loss: { objective: 'skewed-kl', skew } })
    expect(skewed(0.1)().method).toBe('skewed-kl')
    for (const skew of [0, 1, -1]) expect(skewed(skew)).toThrow(/loss\.skew/)
  })
})
