import { describe, expect, it } from 'vitest'
import type { RunConfig, RunTeacher } from '#contract'
import { calibrationPlan, trainingPlan } from './teacherCache'

const index = { segments: 3, digest: 'a'.repeat(64), documents: 9, bytes: 900 }
const teacher = { digest: 'd' } as unknown as RunTeacher

/** A run on one text, which is drawn by segments where it has an index. */
function config(train: object, own: object = {}): RunConfig {
  const source = { kind: 'corpus' }
  return {
    corpora: [{ weight: 1, row: { digest: 't', ...own } }],
    tokenizer: { digest: 'k' },
    experiment: { seed: 1, train: { batch: 2, context: 8, steps: 3, source, ...train } },
  } as unknown as RunConfig
}

describe('what is kept of a teacher', () => {
  const byTokens = { mixture: { by: 'tokens', temperature: 1 } }

  it('is of the batches that are drawn: by segments, and by which', () => {
    const keys = [{}, { index }, { index: { ...index, digest: 'b'.repeat(64) } }].map(
      (own) => trainingPlan(config({}, own), teacher).key,
    )
    expect(new Set(keys).size).toBe(3)
  })

  it('is the same calibration text with an index and without, but where a mixture goes by its tokens', () => {
    const key = (train: object, own: object) => calibrationPlan(config(train, own), teacher).key
    expect(key({}, { index })).toBe(key({}, {}))
    expect(key(byTokens, { index })).not.toBe(key(byTokens, {}))
    expect(key(byTokens, {})).not.toBe(key({}, {}))
  })
})
