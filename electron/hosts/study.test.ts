import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { builtWorkers } from './built'
import { createServices, type Services } from '../services'
import { parseStudy } from '../services/study'

let folder: string
let services: Services

const shape = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 10, batch: 4, context: 24, learningRate: 0.01, warmup: 2 }
const shared = { train, evaluate: { every: 0, tokens: 300 }, checkpoint: { every: 0, keep: 1 } }
const definition = {
  name: 'Two ways',
  description: 'With a teacher and without.',
  corpora: [{ name: 'recipes', path: 'recipes.txt' }],
  teachers: [{ name: 'cook', train: { ...shared, corpus: 'recipes', tokenizer: 'bpe', model: shape } }],
  base: { ...shared, corpus: 'recipes', tokenizer: 'bpe', student: shape, teachers: ['cook'] },
  runs: [{ name: 'taught' }, { name: 'alone', set: { teachers: [] } }],
  seeds: [1, 2],
  questions: [{ ask: 'Does a teacher help?', compare: [['taught', 'alone']] }],
}
const study = () => parseStudy(stringify(definition), 'study.yaml', folder)

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  const dataDir = join(folder, 'data')
  services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library } = services.rooms
  await library.generateCorpus({ name: 'other', domain: 'kitchen', bytes: 30_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['other'], vocab: 300 })
}, 60_000)
afterAll(async () => {
  await services.close()
  rmSync(folder, { recursive: true, force: true })
})

it('a source folder that lacks something is refused before anything is done', async () => {
  const { rooms } = services
  const silent = { signal: new AbortController().signal, progress: () => {} }
  await expect(rooms.study.run(study(), silent)).rejects.toThrow(/recipes\.txt: there is no such file/)
  const [row] = await services.call('studies.list', {})
  expect(row).toMatchObject({ study: 'questions', runs: 36, completed: 0, teachers: 6 })
  expect(row!.needs).toContain('tinyshakespeare/input.txt')
  const wrong = services.call('studies.start', { study: 'questions', source: folder })
  await expect(wrong).rejects.toThrow('is the source folder the right one?')
  await expect(services.call('studies.start', { study: 'none', source: folder })).rejects.toThrow('no study')
  expect(await services.call('tasks.list', {})).toEqual([])
  expect(await services.call('runs.list', {})).toEqual([])
})

it('a stopped study goes on where it was, tells how far it is, and ends in its report', async () => {
  const { study: studies, library, runs, tasks } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 30_000, seed: 2 })
  const { row, done } = tasks.start('Study', (control) => studies.run(study(), control))
  services.onPush((_, push) => {
    if (push.topic !== 'run' || push.run.name !== 'taught, seed 1') return
    if (push.run.status === 'completed') tasks.stop(row.id)
  })
  await expect(done).rejects.toThrow('stopped')
  const before = runs.list().filter(({ status }) => status === 'completed')
  expect(before.map(({ name }) => name)).toEqual(['cook', 'taught, seed 1'])

  // What is left does not fit: nothing of it is queued.
  await services.call('settings.set', { memoryGb: 0.1 })
  const refused = studies.run(study(), { signal: new AbortController().signal, progress: () => {} })
  await expect(refused).rejects.toThrow(
    /the run "\w+, seed \d" needs about \d+ MB of memory, 102 MB can be had/,
  )
  expect(runs.list().filter(({ status }) => status === 'completed')).toEqual(before)
  expect(runs.list().filter(({ status }) => status === 'queued')).toEqual([])
  await services.call('settings.set', { memoryGb: 0 })

  const fractions: number[] = []
  const progress = (_: string, fraction: number) => void fractions.push(fraction)
  const result = await studies.run(study(), { signal: new AbortController().signal, progress })
  expect(result.runs.map(({ name }) => name)).toEqual([
    'taught, seed 1',
    'alone, seed 1',
    'taught, seed 2',
    'alone, seed 2',
  ])
  expect(result.runs[0]!.id).toBe(before[1]!.id)
  expect(result.answers).toHaveLength(1)
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b))
  expect(fractions.at(-1)).toBe(1)
  expect((await services.call('reports.list', {})).map(({ id }) => id)).toEqual([result.report.id])
})
