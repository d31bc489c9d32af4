import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  tokenReadingOf,
  type Corpus,
  type Document,
  type RunConfig,
  type TokenReading,
  type Tokenizer,
} from '#contract'
import { calibrationText } from '../../evaluate/calibrationText'
import { heldOutText } from '../../evaluate/heldOut'
import { createRandom } from '../../random'
import { createBatchPlan } from '../batchPlan'
import { readDocuments, type Split } from '../documents'
import type { TextTokenizer } from '../textTokenizer'
import { loadTokenizer } from '../tokenizer'
import { trainTokenizer } from '../trainTokenizer'
import { writeCorpus } from '../writeCorpus'
import { Ahead } from './ahead'
import { permutation } from './permutation'
import { SegmentPool } from './pool'
import { SegmentTokens } from './tokens'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-segments-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const random = createRandom(5, 'segments.test')
const sentence = (length: number) =>
  Array.from(
    { length },
    () => `${'aeiou'[random.integer(5)]}${'klmnrst'[random.integer(7)]}${random.integer(90)}`,
  ).join(' ')
/** Documents of a few words, of some thousands, and one that counts as several. */
const texts = [
  ...Array.from({ length: 300 }, (_, i) => `${i}: ${sentence(3 + random.integer(400))} é 語 ${i % 7}`),
  sentence(40_000),
]
const chats = Array.from({ length: 300 }, (_, i) => [
  { role: 'user', content: `What is ${i}? ${sentence(1 + random.integer(2))}` },
  { role: 'assistant', content: i % 4 ? `It is ${i}. ${sentence(random.integer(60))}` : '' },
])

const cache = join(dataDir, 'cache', 'tokens')
const none = () => ({ format: 'text' as const })
let corpora: Record<'text' | 'chats', { indexed: Corpus; plain: Corpus }>
let row: Tokenizer
let tokenizer: TextTokenizer

beforeAll(async () => {
  const write = async (name: string, documents: Document[]) => ({
    indexed: await writeCorpus(dataDir, { id: name, name, source: 'test' }, documents, none, { indexed: 1 }),
    plain: await writeCorpus(dataDir, { id: `${name}-plain`, name, source: 'test' }, documents, none),
  })
  corpora = { text: await write('text', texts), chats: await write('chats', chats) }
  const job = { dataDir, threads: 0, kind: 'train-tokenizer', id: 'tok', name: 'tok', vocab: 600 } as const
  row = await trainTokenizer({ ...job, corpora: [corpora.text.plain] }, () => {})
  tokenizer = await loadTokenizer(dataDir, row)
})

const context = 64
async function openPlan(corpus: Corpus, reading: TokenReading, seed = 3, ahead?: () => void) {
  const tokens = await SegmentTokens.open(dataDir, { row: corpus, reading }, corpus.index!, row)
  const pool = new SegmentPool({
    ...{ name: corpus.name, index: corpus.index!, tokens, reading, seed, context, sequences: 8 },
    at: (segment) => tokens.text.at(segment),
    conversations: corpus.conversations ?? false,
  })
  const sources = [{ name: corpus.name, weight: 1, pool }]
  return { plan: createBatchPlan({ seed, batch: 8, context, sources, ahead }), tokens, pool }
}

const readings: [string, 'text' | 'chats', Partial<TokenReading>][] = [
  ['windows of text', 'text', {}],
  ['documents of text', 'text', { packing: 'documents' }],
  ['conversations', 'chats', { template: 'chatml' }],
  ['windows of conversations', 'chats', { template: 'chatml', packing: 'windows' }],
  ['all of conversations', 'chats', { template: 'chatml', loss: 'all' }],
  ['packed text', 'text', { packing: 'packed' }],
  ['packed conversations', 'chats', { template: 'chatml', packing: 'packed' }],
]
const steps = [1, 2, 3, 255, 256, 257, 600, 2000]

describe.each(readings)('a plan over segments of %s', (_, name, how) => {
  const open = () => {
    const { indexed } = corpora[name]
    return openPlan(indexed, tokenReadingOf(indexed, how))
  }

  it('is a function of the seed and the step: not of what was tokenized before, by whom, or in which order', async () => {
    rmSync(cache, { recursive: true, force: true })
    const asked: string[] = []
    const lazy = await open()
    const batches = steps.map((step) => lazy.plan.at(step))
    lazy.tokens.close()
    expect(readdirSync(cache).filter((file) => file.endsWith('.log'))).toHaveLength(1)

    // All there, made backwards.
    rmSync(cache, { recursive: true, force: true })
    const all = await open()
    for (let i = corpora[name].indexed.index!.segments - 1; i >= 0; i--) all.tokens.at(i)
    all.tokens.close()
    const whole = await open()
    expect(whole.tokens.has(0)).toBe(true)
    for (const [i, step] of [...steps.entries()].reverse()) expect(whole.plan.at(step)).toEqual(batches[i])
    whole.tokens.close()

    // Resumed: some there, others not, and looked ahead to.
    rmSync(cache, { recursive: true, force: true })
    const begun = await open()
    begun.plan.at(1)
    begun.tokens.close()
    const { indexed } = corpora[name]
    const resumed = await openPlan(indexed, tokenReadingOf(indexed, how), 3, () => void asked.push(''))
    for (const [i, step] of steps.entries()) expect(resumed.plan.at(step)).toEqual(batches[i])
    expect(asked.length).toBeGreaterThan(8 * 128)
    resumed.tokens.close()

    // Nor of what it is called.
    const renamed = await openPlan({ ...indexed, name: 'another' }, tokenReadingOf(indexed, how))
    expect(renamed.plan.at(2)).toEqual(batches[1])
    renamed.tokens.close()

    const other = await openPlan(indexed, tokenReadingOf(indexed, how), 4)
    expect(other.plan.at(1)).not.toEqual(batches[0])
    other.tokens.close()
  })

  it('reads what is to train on alone, of all places', async () => {
    const { indexed } = corpora[name]
    const { plan, tokens } = await open()
    const documents: string[] = []
    for await (const document of readDocuments(dataDir, indexed, 'train'))
      documents.push(typeof document === 'string' ? document : JSON.stringify(document))
    const seen = new Set<number>()
    for (let step = 1; step <= 40; step++) {
      const { inputs, targets, mask, positions } = plan.at(step)
      for (let at = 0; at < inputs.length; at += context) {
        const line = [...inputs.subarray(at, at + context)]
        // The next token of the same example is the target, as far as something counts.
        for (let i = at; i + 1 < at + context; i++)
          if (positions?.[i + 1] !== 0 && (!mask || mask[i + 1])) expect(targets[i]).toBe(inputs[i + 1])
        if (mask) expect(mask.subarray(at, at + context)).toContain(1)
        if (name !== 'text') continue
        let from = 0
        for (let i = 0; i <= line.length; i++) {
          if (i < line.length && line[i] !== tokenizer.bos) continue
          const filled = mask
            ? line.slice(from, i).filter((_, j) => mask[at + from + j - 1] ?? 1)
            : line.slice(from, i)
          // Characters that the window cuts are no text.
          const text = tokenizer.decode(filled).replaceAll('\ufffd', '')
          const found = documents.findIndex((document) => document.includes(text))
          expect(found, text).toBeGreaterThanOrEqual(0)
          if (text.length > 30) seen.add(found)
          from = i + 1
        }
      }
    }
    tokens.close()
    if (name === 'text') expect(seen.size).toBeGreaterThan(50)
  })
})

it('is tokenized ahead by a thread, as it is without', async () => {
  rmSync(cache, { recursive: true, force: true })
  const { indexed } = corpora.chats
  const corpus = { row: indexed, reading: tokenReadingOf(indexed, { template: 'chatml' }) }
  const own = await SegmentTokens.open(dataDir, corpus, indexed.index!, row)
  const expected = [3, 1, 0].map((segment) => own.at(segment))
  own.close()
  rmSync(cache, { recursive: true })
  const tokens = await SegmentTokens.open(dataDir, corpus, indexed.index!, row)
  const warnings: string[] = []
  const work = { dataDir, tokenizer: row, corpora: [[1, corpus]] as [number, typeof corpus][] }
  const ahead = new Ahead(work, new Map([[1, tokens]]), (message) => warnings.push(message))
  for (const [i, segment] of [3, 1, 0].entries()) ahead.ask(1, segment, 1 + 40 * i)
  await expect
    .poll(() => [3, 1, 0, 2].map((segment) => tokens.has(segment)), { timeout: 60_000 })
    .toEqual([true, true, true, false])
  expect([3, 1, 0].map((segment) => tokens.at(segment))).toEqual(expected)
  await ahead.close()
  expect(warnings).toEqual([])
}, 70_000)

it('draws each segment by its bytes', async () => {
  const { indexed } = corpora.text
  const { pool, tokens } = await openPlan(indexed, tokenReadingOf(indexed))
  const drawn = new Float64Array(indexed.index!.segments)
  const draws = 8 * 256 * 40
  for (let step = 1; step <= 256 * 40; step++)
    for (let r = 0; r < 8; r++) drawn[pool.segmentsOf(step, r)[0]!]!++
  for (let i = 0; i < drawn.length; i++) {
    const share = tokens.text.at(i).trainBytes / indexed.index!.bytes
    expect(Math.abs(drawn[i]! / draws - share)).toBeLessThan(0.3 * share + 1e-4)
  }
  tokens.close()
})

it('has an order of segments that names each once', () => {
  for (const count of [1, 2, 3, 17, 1000]) {
    const order = permutation(count, 1, 'x')
    const all = Array.from({ length: count }, (_, i) => order(i))
    expect([...all].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i))
    if (count > 99) expect(all.filter((one, i) => one === all[i - 1]! + 1).length).toBeLessThan(10)
  }
})

it('keeps what was tokenized before a kill, leaves out what it tore, and mends what was damaged', async () => {
  rmSync(cache, { recursive: true, force: true })
  const { indexed } = corpora.text
  const corpus = { row: indexed }
  const first = await SegmentTokens.open(dataDir, corpus, indexed.index!, row)
  const made = [4, 2, 9, 7].map((segment) => first.at(segment))
  // Killed within a write: its note names a process that is not there.
  const log = join(
    cache,
    readdirSync(cache).find((file) => file.endsWith('.log'))!,
  )
  writeFileSync(log.replace(/log$/, 'note'), '2147483647\n \n')
  const size = readFileSync(log).length
  truncateSync(log, size - 5)
  const second = await SegmentTokens.open(dataDir, corpus, indexed.index!, row)
  expect([4, 2, 9, 7].map((segment) => second.has(segment))).toEqual([true, true, true, false])
  expect(second.at(7)).toEqual(made[3])
  expect(second.at(1).length).toBeGreaterThan(0)
  // It went on with the file of the one that is gone.
  expect(readdirSync(cache).filter((file) => file.endsWith('.log'))).toHaveLength(1)
  second.close()
  const bytes = readFileSync(log)
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100)
  writeFileSync(log, bytes)
  appendFileSync(log, Buffer.alloc(100, 3))
  const third = await SegmentTokens.open(dataDir, corpus, indexed.index!, row)
  expect([4, 2, 9, 7].map((segment) => third.at(segment))).toEqual(made)
  third.close()
})

it.each(['held-out', 'calibration'] as Split[])(
  'reads the %s text that a corpus without an index has',
  async (split) => {
    for (const [name, reading] of [
      ['text', undefined],
      ['text', { loss: 'all', packing: 'documents' }],
      ['chats', { loss: 'assistant', packing: 'documents', template: 'chatml' }],
    ] as const) {
      const { indexed, plain } = corpora[name]
      expect(plain.index).toBeUndefined()
      expect(plain.digest).toBe(indexed.digest)
      for (const tokens of [50, 700, 1e6]) {
        const text = (corpus: Corpus) =>
          heldOutText(dataDir, { row: corpus, reading }, row, tokenizer, tokens, split)
        expect(await text(indexed)).toEqual(await text(plain))
      }
    }
  },
)

it('looks at as much of each corpus before the first step as it is drawn, not as its plain weight says', async () => {
  const { plain } = corpora.text
  const about = { id: 'other', name: 'other', source: 'test' } as const
  const other = await writeCorpus(dataDir, about, texts.slice(0, 290), none)
  const config = {
    corpora: [plain, other].map((row) => ({ weight: 1, row })),
    tokenizer: row,
    experiment: { train: { batch: 2, context } },
  }
  const windows = await calibrationText(dataDir, config as unknown as RunConfig, tokenizer, [3, 1])
  const text = (row_: Corpus, tokens: number) =>
    heldOutText(dataDir, { row: row_ }, row, tokenizer, tokens, 'calibration')
  const expected = [...(await text(plain, 1536)).ids, ...(await text(other, 512)).ids]
  expect(expected.length).toBeGreaterThan(1500)
  const read = windows.flatMap(({ inputs }) => [...inputs]).slice(0, expected.length - 1)
  expect(read).toEqual(expected.slice(0, -1))
})

it('reads all documents, and refuses text that has changed', async () => {
  const all: unknown[] = []
  for await (const document of readDocuments(dataDir, corpora.text.indexed)) all.push(document)
  expect(all).toEqual(texts)
  const changed = await writeCorpus(dataDir, { id: 'changed', name: 'c', source: 'test' }, texts, none, {
    indexed: 1,
  })
  const file = join(dataDir, 'library/corpora/changed/documents.jsonl')
  writeFileSync(file, readFileSync(file, 'utf8').replace('5: ', '5; '))
  const reading = async () => {
    for await (const document of readDocuments(dataDir, changed)) void document
  }
  await expect(reading()).rejects.toThrow('has changed since it was imported')
})
