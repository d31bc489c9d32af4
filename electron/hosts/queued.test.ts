import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createServices, type Services } from '../services'
import { builtWorkers } from './built'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished

beforeAll(async () => {
  furnished = await openFurnished({ bytes: 20_000, sums: false })
  await furnished.services.close()
}, 60_000)
afterAll(() => rmSync(furnished.folder, { recursive: true, force: true }))

const open = (host: 'cli' | 'web') =>
  createServices({ dataDir: furnished.dataDir, spawnWorker: builtWorkers(), host })
const definition = stringify({
  name: 'waits',
  corpus: 'recipes',
  tokenizer: 'bpe',
  student: { width: 16, layers: 1, heads: 2, context: 24 },
  teachers: [],
  train: { steps: 3, batch: 2, context: 24, learningRate: 0.003, warmup: 1 },
  evaluate: { every: 0, tokens: 100 },
})

/** A run that an app queued and never began: its queue was paused, as a full disk or a kill would have it. */
async function leftWaiting(): Promise<string> {
  const app = await open('web')
  await app.call('settings.set', { queuePaused: true })
  const { id } = app.rooms.experiments.start({ definition })
  await app.close()
  return id
}

async function withCommand<T>(act: (services: Services) => Promise<T>): Promise<T> {
  const services = await open('cli')
  try {
    return await act(services)
  } finally {
    await services.close()
  }
}

it('what an earlier process queued and never began is started by a command that resumes it, and nothing else is', async () => {
  const [one, other] = [await leftWaiting(), await leftWaiting()]
  await withCommand(async ({ rooms: { queue, runs } }) => {
    expect(runs.row(one)).toMatchObject({ status: 'queued', step: 0 })
    queue.resume(one)
    const run = await queue.finished(one)
    expect(run, run.reason).toMatchObject({ status: 'completed', step: 3 })
    expect(runs.row(other)).toMatchObject({ status: 'queued', step: 0 })
    expect(() => queue.resume(one)).toThrow('it is completed')
  })
})

it('a run that waits for a cluster is not begun beside it', async () => {
  const id = await leftWaiting()
  await withCommand(async ({ rooms: { queue, runs } }) => {
    queue.assign(id, 'slurm')
    expect(() => queue.resume(id)).toThrow('it is queued')
    expect(runs.row(id)).toMatchObject({ status: 'queued', step: 0, cluster: 'slurm' })
  })
})

it("a command's own run does not wait for the app's paused queue", async () => {
  await leftWaiting()
  await withCommand(async ({ rooms: { queue, experiments } }) => {
    const { id } = experiments.start({ definition })
    expect(await queue.finished(id)).toMatchObject({ status: 'completed', step: 3 })
  })
})
