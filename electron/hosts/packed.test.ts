import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { numberOf, usualReading } from '#contract'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
const before = process.env.RETORT_INDEXED

beforeAll(async () => {
  furnished = await openFurnished({ sums: false })
  const words = (i: number, count: number) =>
    Array.from({ length: count }, (_, j) => `w${(i * 7 + j * j) % 40}`).join(' ')
  const lines = Array.from({ length: 200 }, (_, i) => {
    const turns = Array.from({ length: 1 + (i % 2) }, () => [
      { role: 'user', content: words(i, 1 + (i % 6)) },
      { role: 'assistant', content: words(i + 3, 1 + (i % 5)) },
    ])
    return JSON.stringify({ messages: turns.flat() })
  })
  const path = join(furnished.folder, 'chats.jsonl')
  writeFileSync(path, lines.join('\n'))
  const { library } = furnished.services.rooms
  await library.importCorpus({ path, name: 'chats', ...usualReading })
  process.env.RETORT_INDEXED = '1'
  await library.importCorpus({ path, name: 'indexed', ...usualReading })
  for (const seed of [1, 2])
    await furnished.teach({
      name: `teacher-${seed}`,
      corpus: [{ name: 'chats', template: 'plain' }],
      tokenizer: 'bpe',
      model: { width: 16, layers: 1, heads: 2, context: 128 },
      train: { steps: 10, batch: 4, context: 128 },
      seed,
    })
}, 120_000)
afterAll(async () => {
  if (before === undefined) delete process.env.RETORT_INDEXED
  else process.env.RETORT_INDEXED = before
  await furnished.close()
})

const definition = (name: string, corpus: string, changes: object = {}) =>
  stringify({
    name,
    corpus: [{ name: corpus, template: 'plain', packing: 'packed' }],
    student: { width: 16, layers: 1, heads: 2, context: 128 },
    teachers: ['teacher-1', 'teacher-2'],
    weighting: { granularity: 'sequence' },
    train: { steps: 30, batch: 4, context: 128, warmup: 2 },
    evaluate: { every: 10, tokens: 400 },
    checkpoint: { every: 10 },
    ...changes,
  })

describe.each(['chats', 'indexed'])('a run on packed conversations, %s', (corpus) => {
  it('computes the same where it was killed, and with teachers that are asked anew', async () => {
    const { experiments, queue, runs } = furnished.services.rooms
    const killed = experiments.start({ definition: definition(`killed-${corpus}`, corpus) }).id
    await furnished.kill(killed, 13)
    queue.resume(killed)
    await furnished.completed(killed)

    const whole = await furnished.completed(
      experiments.start({ definition: definition(`whole-${corpus}`, corpus) }).id,
    )
    expect(furnished.computed(killed)).toEqual(furnished.computed(whole.id))

    const live = await furnished.completed(
      experiments.start({ definition: definition(`live-${corpus}`, corpus, { cache: { mode: 'off' } }) }).id,
    )
    const [cached, asked] = [furnished.computed(whole.id), furnished.computed(live.id)]
    for (const [i, step] of cached.steps.entries())
      expect(numberOf(asked.steps[i]!.loss)).toBeCloseTo(numberOf(step.loss), 4)

    // As evaluated one conversation a sequence: packing is for training.
    const changes = {
      corpus: [{ name: corpus, template: 'plain' }],
      train: { steps: 1, batch: 4, context: 128 },
    }
    const single = await furnished.completed(
      experiments.start({ definition: definition(`single-${corpus}`, corpus, changes) }).id,
    )
    const [own] = runs.folder(single.id).metrics().evaluations
    expect(own!.corpora[0]!.tokens).toBe(cached.evaluations[0]!.corpora[0]!.tokens)
  }, 180_000)
})
