import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { numberOf, type Run, type RunRow, type WorkerEvent } from '#contract'
import { createServices, type Services } from '../services'
import { parseExperiment, resolveExperiment } from '../services/experiments'
import { libraryRows } from '../services/context'
import { startJob } from '../services/jobs'
import { builtWorkers } from './built'

let dataDir: string
let services: Services

/** Steps of some tens of milliseconds: far longer than a message takes. */
const definition = (name: string, more = '') => `name: ${name}
corpus: recipes
tokenizer: bpe
student: { width: 96, layers: 3, heads: 4, context: 64 }
teachers: []
train: { steps: 40, batch: 16, context: 64 }
evaluate: { every: 0, tokens: 300 }
${more}`

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
})
afterAll(async () => {
  await services.close()
  rmSync(dataDir, { recursive: true, force: true })
})

function stepsLogged(run: string): number {
  const lines = readFileSync(join(dataDir, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.filter((line) => 'learningRate' in (JSON.parse(line) as object)).length
}

describe('a worker in the middle of training', () => {
  it('pauses, goes on and stops within one step of being told', async () => {
    const { context } = services.rooms
    const config = resolveExperiment(parseExperiment(definition('told')), libraryRows(context))
    const told: Record<string, number> = {}
    const acted: Record<string, number> = {}
    const hear = (event: WorkerEvent) => {
      const { worker } = job
      if (event.type === 'step' && event.record.step === 5) {
        told.pause = stepsLogged(config.id)
        worker.send({ type: 'pause' })
      }
      if (event.type === 'step' && event.record.step === 12) {
        told.stop = stepsLogged(config.id)
        worker.send({ type: 'stop' })
      }
      if (event.type !== 'paused') return
      acted.pause = stepsLogged(config.id)
      // Long enough for several steps, were it not paused.
      setTimeout(() => {
        acted.later = stepsLogged(config.id)
        worker.send({ type: 'continue' })
      }, 500)
    }
    const job = startJob(context, { kind: 'run', config, resume: false }, hear)
    const { status, step } = (await job.result) as { status: string; step: number }
    // One step may end while the message is on its way; the worker acts at the end of the one it then does.
    expect(acted.pause! - told.pause!).toBeLessThanOrEqual(2)
    expect(acted.later).toBe(acted.pause)
    expect(status).toBe('stopped')
    expect(step - told.stop!).toBeLessThanOrEqual(2)
    expect(stepsLogged(config.id)).toBe(step)
  })
})

describe('a run whose worker crashes', () => {
  it('waits, says until when and how many tries are left, and goes on to its end', async () => {
    const { context, queue, runs } = services.rooms
    const { spawnWorker } = context
    const text = definition('crashed').replace('steps: 40', 'steps: 4')
    const config = resolveExperiment(parseExperiment(text), libraryRows(context))
    let crashes = 0
    context.spawnWorker = () => {
      const worker = spawnWorker()
      worker.onEvent((event) => {
        if (event.type === 'step' && !crashes++) worker.kill()
      })
      return worker
    }
    const waiting = new Promise<RunRow>((resolve) => {
      services.onPush((_, push) => {
        if (push.topic === 'run' && push.run.id === config.id && push.run.retryAt) resolve(push.run)
      })
    })
    const began = Date.now()
    queue.add(config, { retries: 2 })
    const row = await waiting
    expect(row).toMatchObject({ status: 'queued', retries: 1 })
    expect(Date.parse(row.retryAt!)).toBeGreaterThan(began)
    expect(await queue.finished(config.id)).toMatchObject({ status: 'completed', step: 4 })
    expect(runs.row(config.id).retryAt).toBeUndefined()
    expect(Date.parse(runs.row(config.id).startedAt!)).toBeGreaterThanOrEqual(Date.parse(row.retryAt!) - 5)
    context.spawnWorker = spawnWorker
  })
})

describe('runs side by side', () => {
  it('wait where their memory together is more than the machine had left, and start when there is room', async () => {
    const { context, experiments, queue, runs } = services.rooms
    await services.call('settings.set', { concurrency: 2, threads: 1 })
    const start = (name: string) => experiments.start({ definition: definition(name) }).id
    const running = () => runs.list().filter(({ status }) => status === 'running').length
    context.freeMemoryMb = () => 600
    const [first, second] = [start('first'), start('second')]
    // Each needs more than 300 MB.
    expect(runs.row(second)).toMatchObject({
      status: 'queued',
      reason: expect.stringMatching(
        /^waits for memory: it needs about \d+ MB, those at work take \d+ of 600/,
      ),
    })
    await queue.finished(first)
    const done = await queue.finished(second)
    expect(done.status, done.reason).toBe('completed')
    expect(done.reason).toBeUndefined()
    const at = (run: string, which: 'startedAt' | 'endedAt') => Date.parse(runs.row(run)[which]!)
    expect(at(second, 'startedAt')).toBeGreaterThanOrEqual(at(first, 'endedAt'))
    // With room for both they run together.
    context.freeMemoryMb = () => 8000
    const pair = [start('third'), start('fourth')]
    let most = 0
    for (let i = 0; i < 6000 && pair.some((id) => runs.row(id).status !== 'completed'); i++) {
      most = Math.max(most, running())
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(most).toBe(2)
    delete context.freeMemoryMb
    await services.call('settings.set', { concurrency: 1, threads: 0 })
  })
})

describe('the backend', () => {
  async function train(name: string, more = ''): Promise<Run> {
    const { experiments, queue } = services.rooms
    // The reference is slow.
    const small = definition(name, more)
      .replace(/student: .*/, 'student: { width: 16, layers: 1, heads: 2, context: 24 }')
      .replace(/train: .*/, 'train: { steps: 2, batch: 2, context: 24 }')
    return queue.finished(experiments.start({ definition: small }).id)
  }

  it("is the setting's, the command's before it, the definition's before both; a run writes down which", async () => {
    const { context, runs, models } = services.rooms
    const backendOf = (run: Run) => runs.get(run.id).environment?.backend
    await services.call('settings.set', { backend: 'cpu' })
    const reference = await train('by-setting')
    expect(reference.status, reference.reason).toBe('completed')
    expect(backendOf(reference)).toBe('cpu')
    expect(backendOf(await train('by-definition', 'backend: onnx'))).toBe('onnx')
    context.chosenBackend = 'onnx'
    const fast = await train('by-command')
    expect(backendOf(fast)).toBe('onnx')
    // Two implementations of the same mathematics.
    const losses = [reference, fast].map(({ evaluation }) => numberOf(evaluation!.crossEntropy))
    expect(losses[0]!).toBeCloseTo(losses[1]!, 4)
    const scores = []
    for (const backend of ['cpu', 'onnx'] as const) {
      context.chosenBackend = backend
      const [score] = await models.evaluate([fast.id], ['recipes'], { tokens: 200 })
      scores.push(numberOf(score!.crossEntropy))
    }
    expect(scores[0]!).toBeCloseTo(scores[1]!, 4)
    expect(scores[0]).not.toBe(scores[1])
  })
})
