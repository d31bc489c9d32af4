import { expect, it } from 'vitest'
import type { RunConfig } from '#contract'
import { configDigest } from './digest'

const config = (teacher: object) =>
  ({
    experiment: { name: 'a', corpus: [], teachers: ['t'], seed: 1 },
    student: {},
    corpora: [],
    tokenizer: { digest: 'd' },
    teachers: [{ id: 't', name: 't', digest: 'weights', perplexity: {}, calibrations: [], ...teacher }],
  }) as unknown as RunConfig

it('what the library learns of a teacher afterwards does not make another cell of it', () => {
  const plain = configDigest(config({}))
  const fitted = { corpora: [{ id: 'c', weight: 1 }], tokens: 9, temperature: 2, before: 3, after: 2 }
  expect(configDigest(config({ calibrations: [fitted], perplexity: { c: 7 } }))).toBe(plain)
  expect(configDigest(config({ digest: 'other weights' }))).not.toBe(plain)
})
