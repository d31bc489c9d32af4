import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Corpus, RunConfig, TokenReading, Tokenizer } from '#contract'
import { openText } from '../data/corpusText'
import { trainTokenizer } from '../data/trainTokenizer'
import { writeCorpus } from '../data/writeCorpus'
import { createRandom } from '../random'
import { openBatchPlan } from './plan'
import { promptsOf } from './source/prompts'
import { runConfig } from './testing'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-plan-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const CONTEXT = 128
let corpus: Corpus
let tokenizer: Tokenizer

beforeAll(async () => {
  const random = createRandom(6, 'plan.test')
  const words = (count: number) => Array.from({ length: count }, () => `w${random.integer(50)}`).join(' ')
  // From a word to more than a sequence holds.
  const chats = Array.from({ length: 300 }, (_, i) => [
    { role: 'user', content: `${i} ${words(1 + random.integer(9))}` },
    { role: 'assistant', content: words(1 + random.integer(i % 40 ? 12 : 90)) },
  ])
  const none = () => ({ format: 'jsonl' as const })
  corpus = await writeCorpus(dataDir, { id: 'chats', name: 'chats', source: 'test' }, chats, none)
  const job = { dataDir, threads: 0, kind: 'train-tokenizer', id: 'tok', name: 'tok', vocab: 400 } as const
  tokenizer = await trainTokenizer({ ...job, corpora: [corpus] }, () => {})
})

const reading = { loss: 'assistant', template: 'plain' } as const

async function opened(packing: TokenReading['packing'], seed = 1) {
  const train = { steps: 4, batch: 4, context: CONTEXT }
  const config: RunConfig = {
    ...runConfig({ train, seed, teachers: [] }, 0),
    corpora: [{ row: corpus, weight: 1, reading: { ...reading, packing } }],
    tokenizer,
  }
  const told: string[] = []
  const plan = await openBatchPlan(dataDir, config, (event) => {
    if (event.type === 'log') told.push(event.message)
  })
  return { plan, told, config }
}

it('packs each document into one sequence, whole, and fills sequences by it', async () => {
  const { plan, told } = await opened('packed')
  const said = told.map((text) =>
    /has (\d+) documents in (\d+) sequences: (\d+) of (\d+) tokens are padding, with one a sequence (\d+) of/.exec(
      text,
    ),
  )
  const [documents, sequences, padding, all, before] = said
    .find((found) => found)!
    .slice(1)
    .map(Number)
  expect(all).toBe(sequences! * CONTEXT)
  expect(all! - padding!).toBe(documents! * CONTEXT - before!)
  expect(padding! / all!).toBeLessThan(0.05)
  expect(before! / (documents! * CONTEXT)).toBeGreaterThan(0.5)

  const text = await openText(
    dataDir,
    { row: corpus, reading: { ...reading, packing: 'documents' } },
    tokenizer,
    'train',
  )
  const bounds = text.documents!
  expect(bounds.length / 2).toBe(documents)
  const expected = new Map<string, number>()
  for (let i = 0; i < bounds.length; i += 2) {
    const end = Math.min(bounds[i + 1]!, bounds[i]! + CONTEXT + 1)
    const targets = text.ids.subarray(bounds[i]! + 1, end)
    const counted = text.mask!.subarray(bounds[i]! + 1, end)
    expected.set([...text.ids.subarray(bounds[i]!, end - 1), '>', ...targets, '>', ...counted].join(), 0)
  }
  const rows = new Set<string>()
  for (let step = 1; step <= 400; step++) {
    const { inputs, targets, mask, positions } = plan.at(step)
    for (let row = 0; row < 4; row++) {
      const [begin, end] = [row * CONTEXT, (row + 1) * CONTEXT]
      const fresh = !rows.has(inputs.subarray(begin, end).join())
      rows.add(inputs.subarray(begin, end).join())
      expect(positions![begin]).toBe(0)
      for (let from = begin; from < end;) {
        let to = from + 1
        while (to < end && positions![to] !== 0) expect(positions![to]).toBe(to++ - from)
        const example = [
          ...inputs.subarray(from, to),
          '>',
          ...targets.subarray(from, to),
          '>',
          ...mask!.subarray(from, to),
        ]
        const times = expected.get(example.join())
        if (times === undefined) expect(mask!.subarray(from, end).join('')).toMatch(/^0+$/)
        else if (fresh) expected.set(example.join(), times + 1)
        if (times === undefined) break
        from = to
      }
    }
  }
  expect(rows.size).toBe(sequences)
  expect([...expected.values()].every((times) => times === 1)).toBe(true)
})

it('is a function of the seed and the step, and leaves the other readings as they were', async () => {
  const one = (await opened('packed')).plan
  const [later, first] = [one.at(9), one.at(1)]
  const again = (await opened('packed')).plan
  expect(again.at(1)).toEqual(first)
  expect(again.at(9)).toEqual(later)
  expect((await opened('packed', 2)).plan.at(1)).not.toEqual(first)
  const documents = await opened('documents')
  expect(documents.plan.at(1).positions).toBeUndefined()
  expect(documents.told.some((text) => text.includes('padding'))).toBe(false)
})

it('gives prompts of the tokens that it opened, whose file may be gone', async () => {
  const { plan, config } = await opened('windows')
  rmSync(join(dataDir, 'cache'), { recursive: true })
  const [prompts] = promptsOf(config, plan.tokens)
  const { ids, documents, mask } = await openText(
    dataDir,
    { row: corpus, reading: { ...reading, packing: 'documents' } },
    tokenizer,
    'train',
  )
  expect(prompts!.places.length).toBeGreaterThan(100)
  for (let i = 0; i < prompts!.places.length; i += 2) {
    const [start, end] = [prompts!.places[i]!, prompts!.places[i + 1]!]
    // From where a conversation begins to before an answer.
    expect(documents!.indexOf(start) % 2).toBe(0)
    expect([...mask!.subarray(end - 1, end + 1)]).toEqual([0, 1])
    expect(prompts!.ids.subarray(start, end)).toEqual(ids.subarray(start, end))
  }
})
