import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { DisagreementPage, Run } from '#contract'
import type { Services } from '../services'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
let dataDir: string
let services: Services
let run: Run
let routed: Run

const shape = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 20, batch: 4, context: 24, learningRate: 0.01, warmup: 2 }
const shared = { train, evaluate: { every: 0, tokens: 300 }, checkpoint: { every: 0, keep: 1 } }

beforeAll(async () => {
  furnished = await openFurnished()
  ;({ dataDir, services } = furnished)
  for (const [name, corpus] of [
    ['cook', 'recipes'],
    ['clerk', 'sums'],
  ]) {
    await furnished.teach({ ...shared, name, corpus, tokenizer: 'bpe', model: shape, seed: 3 })
  }
  const definition = {
    ...shared,
    name: 'both',
    corpus: [{ name: 'recipes' }, { name: 'sums' }],
    student: shape,
    teachers: ['cook', 'clerk'],
  }
  const done = (changes: object) =>
    furnished.completed(
      services.rooms.experiments.start({ definition: stringify({ ...definition, ...changes }) }).id,
    )
  run = await done({})
  const weighting = { strategy: 'routed', routes: { recipes: 'cook', sums: 'clerk' } }
  routed = await done({ name: 'routed', weighting })
}, 120_000)
afterAll(() => furnished.close())

const ask = (first = 0, corpus?: string, id = run.id) =>
  services.call('runs.disagreement', { id, first, ...(corpus && { corpus }) })

/** Asks until the task that computes the page has ended. */
async function page(first = 0, corpus?: string, id?: string): Promise<DisagreementPage> {
  const answer = await ask(first, corpus, id)
  if ('page' in answer) return answer.page
  await new Promise<void>((resolve) => {
    services.onPush((_, push) => {
      if (push.topic === 'task' && push.task.id === answer.task.id && push.task.status !== 'running')
        resolve()
    })
  })
  const then = await ask(first, corpus, id)
  if (!('page' in then)) throw new Error('the task has not left a page')
  return then.page
}

const readings = () => {
  const base = join(dataDir, 'runs', run.id, 'disagreement')
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(base, name))
}

it('a page is computed once, by one task however often it is asked for, and then kept with the run', async () => {
  const [one, two] = [await ask(), await ask()]
  expect(one).toEqual(two)
  expect('task' in one).toBe(true)
  const found = await page()
  expect(found).toMatchObject({ teachers: ['cook', 'clerk'], step: 20, tau: 1 })
  expect(found.documents.map(({ document }) => document)).toEqual([0, 1, 2, 3])
  const text = found.documents[0]!.tokens.map((token) => token.text).join('')
  const corpus = join(dataDir, 'library', 'corpora', run.corpora[0]!.id, 'documents.jsonl')
  const { text: whole } = JSON.parse(readFileSync(corpus, 'utf8').split('\n')[0]!) as { text: string }
  expect(text.length).toBeGreaterThan(20)
  expect(whole.startsWith(text)).toBe(true)

  const before = readings().map((file) => statSync(file).mtimeMs)
  expect(before).toHaveLength(4)
  expect('page' in (await ask())).toBe(true)
  expect(readings().map((file) => statSync(file).mtimeMs)).toEqual(before)
})

it('the teacher of the text has most weight on it, and each corpus has its own documents', async () => {
  for (const [k, { id }] of run.corpora.entries()) {
    const { documents, corpus } = await page(0, id)
    expect(corpus).toBe(id)
    const weights = documents.flatMap(({ tokens }) => tokens.map(({ alpha }) => alpha[k]!))
    expect(weights.reduce((a, b) => a + b) / weights.length).toBeGreaterThan(0.5)
  }
})

it('of a routed run each corpus has its own teacher, in training, evaluation and here, and none disagrees', async () => {
  const { corpora } = routed.evaluation!
  expect(corpora.map(({ alpha }) => alpha)).toEqual([
    [1, 0],
    [0, 1],
  ])
  expect(routed.method).toBe('routed')
  for (const [k, { id }] of routed.corpora.entries()) {
    const { documents } = await page(0, id, routed.id)
    const tokens = documents.flatMap((one) => one.tokens)
    expect(tokens.length).toBeGreaterThan(20)
    for (const { alpha, disagreement, target, teachers } of tokens) {
      expect(alpha[k]).toBe(1)
      expect(disagreement).toBeLessThan(1e-5)
      expect(target).toEqual(teachers[k])
    }
  }
})

it('a torn file is computed anew, the others are read', async () => {
  const found = await page()
  truncateSync(readings()[0]!, 100)
  expect(await page()).toEqual(found)
})

it('what cannot be asked is said in one line, and nothing is written', async () => {
  const { heldOutDocuments } = services.rooms.library.corpora[0]!
  await expect(ask(heldOutDocuments)).rejects.toThrow(`first: corpus "recipes" has ${heldOutDocuments}`)
  await expect(ask(0, 'nowhere')).rejects.toThrow('no corpus of this run named "nowhere"')
  const cook = services.rooms.runs.row('cook')
  await expect(services.call('runs.disagreement', { id: cook.id })).rejects.toThrow('has no two teachers')
  expect(existsSync(join(dataDir, 'runs', cook.id, 'disagreement'))).toBe(false)
})
