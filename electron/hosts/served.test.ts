/* eslint-disable import-x/no-restricted-paths -- the server's double computes with the engine */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runFiles, type Run, type ServedDialect } from '#contract'
import { startBackend } from '../engine/backend'
import { tf } from '../engine/backend/tf'
import { logProbabilities } from '../engine/distill/divergence'
import { nativeModel } from '../engine/model/languageModel'
import { readModel } from '../engine/model/modelFolder'
import { toTensors } from '../engine/model/weights'
import { Double } from '../engine/teachers/served/testing'
import { createServices, type Services } from '../services'
import { builtWorkers } from './built'

/** A teacher that was trained here, and the same behind servers of two dialects. */
const KEY = 'sk-never-written-down'
const K = 12
const VOCAB = 320
const CONTEXT = 16
/** Tokens of the sequence that is asked again whenever a run opens the server. */
const KEPT_AT_IMPORT = 17
let folder: string
let services: Services
let server: Double
let url: string
/** What the server's logits are multiplied by: another number is another model. */
let scale = 1
const train = { steps: 4, batch: 4, context: CONTEXT, learningRate: 0.01, warmup: 1 }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  process.env.RETORT_TEST_SERVER_KEY = KEY
  services = await createServices({
    dataDir: join(folder, 'data'),
    spawnWorker: builtWorkers(),
    host: 'cli',
  })
  const { library, experiments } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 40_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: VOCAB })
  await ended(
    experiments.startTeacher(
      stringify({
        name: 'cook',
        corpus: 'recipes',
        tokenizer: 'bpe',
        model: { width: 24, layers: 2, heads: 4, kvHeads: 2, context: 128 },
        train: { ...train, steps: 30 },
        evaluate: { every: 0, tokens: 200 },
      }),
    ),
  )
  server = await serve('vllm')
  url = await server.start()
}, 120_000)
afterAll(async () => {
  delete process.env.RETORT_TEST_SERVER_KEY
  await services.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A server that computes with the teacher of the library. */
async function serve(dialect: ServedDialect): Promise<Double> {
  await startBackend('onnx', { threads: 1 })
  const { id } = services.rooms.library.teachers[0]!
  const { config, weights } = await readModel(join(folder, 'data/library/teachers', id))
  const model = nativeModel(config, toTensors(weights))
  const time = 72
  const reader = model.reader(time)
  return new Double({
    dialect,
    most: K,
    key: KEY,
    async say(ids) {
      const padded = Int32Array.from({ length: time }, (_, i) => ids[i] ?? 0)
      const table = tf.tidy(() =>
        logProbabilities(tf.mul(reader.logits(tf.tensor2d(padded, [1, time], 'int32')), scale), 1),
      )
      const values = (await table.data()) as Float32Array
      table.dispose()
      return ids.map((_, t) => values.slice(t * VOCAB, (t + 1) * VOCAB))
    },
  })
}

async function ended(started: Run): Promise<Run> {
  for (;;) {
    const { runs } = services.rooms.context.catalogue.data
    const row = runs.find(({ id }) => id === started.id)!
    if (row.status === 'failed') throw new Error(`${row.name} failed: ${row.reason ?? ''}`)
    if (row.status === 'completed') return row
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}

const definition = (changes: Record<string, unknown>) =>
  stringify({
    name: 'run',
    corpus: 'recipes',
    student: { width: 16, layers: 1, heads: 2, context: CONTEXT },
    teachers: ['cook'],
    weighting: { strategy: 'uniform' },
    loss: { lambda: 0.5, tau: 1, features: false },
    cache: { mode: 'top-k', k: K },
    train,
    evaluate: { every: 0, tokens: 200 },
    ...changes,
  })

async function losses(changes: Record<string, unknown>): Promise<number[]> {
  const { id } = await ended(services.rooms.experiments.start({ definition: definition(changes) }))
  return readFileSync(join(folder, 'data/runs', id, runFiles.metrics), 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => (JSON.parse(line) as { loss?: number }).loss ?? [])
}

const importing = (more: Record<string, unknown> = {}) => ({
  path: url,
  tokenizerPath: 'bpe',
  served: {
    model: 'tiny',
    key: { env: 'RETORT_TEST_SERVER_KEY' },
    limits: { concurrency: 4, timeout: 30 },
    ...more,
  },
})

describe('a teacher behind a server', () => {
  it('is asked at the import what it can do', async () => {
    const row = await services.rooms.library.importTeacher(importing())
    expect(row).toMatchObject({
      name: 'tiny',
      source: 'served',
      tokenizer: services.rooms.library.teachers[0]!.tokenizer,
      // The double allows 12 alternatives: of those that are tried, 10. Two of its 64 tokens are not the sequence's.
      model: { family: 'served', dialect: 'vllm', k: 10, ids: true, late: false, context: 62, url },
    })
    expect(row.check!.served!.covered).toBeGreaterThan(0)
    expect(row.check!.served!.covered).toBeLessThan(1)
  })

  it.each([
    [{ path: 'http://me:secret@127.0.0.1/v1' }, /no name and no password/],
    [{ path: 'file:///etc/passwd' }, /no way to ask a server/],
    [{ tokenizerPath: undefined }, /--tokenizer: a server does not give its tokenizer/],
  ])('is refused where %o', async (change, message) => {
    const error = await services.rooms.library
      .importTeacher({ ...importing(), name: 'no', ...change })
      .catch(String)
    expect(error).toMatch(message)
    expect(error).not.toContain('secret')
  })

  it('is refused where the server has no such model, or no such key', async () => {
    const { library } = services.rooms
    await expect(library.importTeacher(importing({ model: 'other' }))).rejects.toThrow(
      `${url}: --model: it has no model "other"; expected tiny`,
    )
    const file = join(folder, 'key')
    writeFileSync(file, 'sk-some-other', { mode: 0o600 })
    const error = await library.importTeacher({ ...importing({ key: { file } }), name: 'no' }).catch(String)
    expect(error).toMatch(/HTTP 401.*expected a key that it knows/)
    expect(error).not.toContain('sk-some-other')
    expect(library.teachers.map(({ name }) => name)).toEqual(['cook', 'tiny'])
  })

  it('teaches as it does here, and a rerun asks nothing', async () => {
    await services.rooms.library.importTeacher({ ...importing({ topK: K }), name: 'twelve' })
    const here = await losses({ name: 'here' })
    const before = server.tokens
    const served = await losses({ name: 'served', teachers: ['twelve'] })
    expect(served).toHaveLength(train.steps)
    for (const [i, loss] of served.entries()) expect(Math.abs(loss - here[i]!)).toBeLessThan(1e-5)
    expect(server.tokens).toBeGreaterThanOrEqual(before + train.steps * train.batch * (CONTEXT + 1))
    const { requests } = server
    // Whatever the definition says of the cache: what was answered is kept.
    const again = await losses({ name: 'again', teachers: ['twelve'], cache: { mode: 'off' } })
    expect(again).toEqual(served)
    expect(server.requests).toBe(requests)
  }, 240_000)

  it('is asked for no more than its limits allow: the run stops, says why, and goes on with what is kept', async () => {
    const each = CONTEXT + 1
    // Two batches of four: all else that the run reads was told to the one before, of the same server.
    const most = 8 * each
    const limits = { concurrency: 4, timeout: 30, price: 1000, cost: most / 1000 }
    const { library, queue, experiments } = services.rooms
    await library.importTeacher({ ...importing({ topK: K, limits }), name: 'dear' })
    const changes = { name: 'bounded', teachers: ['dear'], seed: 5 }
    const { estimate } = experiments.check({ definition: definition(changes) })
    expect(estimate!.askedCost).toBeCloseTo((1000 * estimate!.askedTokens!) / 1e6, 9)
    expect(estimate!.askedBound).toMatch(`may be asked for ${most} tokens a run`)
    const before = server.tokens
    const { id } = experiments.start({ definition: definition(changes) })
    const stopped = await queue.finished(id)
    expect(stopped).toMatchObject({ status: 'stopped', step: 0 })
    expect(stopped.reason).toBe(
      `server ${url}, model "tiny": limits.cost is reached: ${most} tokens were asked, ${4 * each} more would be above 0.136 at 1000 a million; resumed, the run may ask as many again`,
    )
    // Beside them the question whether it is the same model.
    expect(stopped.servers).toMatchObject([{ teacher: 'dear', tokens: most + KEPT_AT_IMPORT, retries: 0 }])
    queue.resume(id)
    const row = await queue.finished(id)
    expect(row).toMatchObject({ status: 'completed', step: train.steps })
    expect(row.reason).toBeUndefined()
    // Nothing was asked twice.
    const asked = server.tokens - before - 2 * KEPT_AT_IMPORT
    expect(asked).toBe(2 * most)
    expect(asked).toBeLessThanOrEqual(estimate!.askedTokens!)
    const lossesOf = (run: string) =>
      readFileSync(join(folder, 'data/runs', run, runFiles.metrics), 'utf8')
        .trim()
        .split('\n')
        .flatMap((line) => (JSON.parse(line) as { loss?: number }).loss ?? [])
    expect(lossesOf(id)).toEqual(await losses({ ...changes, name: 'unbounded', teachers: ['twelve'] }))
  }, 240_000)

  it('is not believed once another model answers in its place', async () => {
    scale = 3
    await expect(losses({ name: 'other', teachers: ['twelve'], seed: 2 })).rejects.toThrow(
      `server ${url}, model "tiny": it answers otherwise than at the import of teacher "twelve"`,
    )
    scale = 1
  })

  it('is refused where most of what it says would be guessed', () => {
    const { experiments } = services.rooms
    const problems = (changes: Record<string, unknown>) =>
      experiments
        .check({ definition: definition({ teachers: ['tiny'], ...changes }) })
        .problems.map(({ message }) => message)
    expect(problems({ weighting: { strategy: 'calibrated-entropy' } }).join()).toMatch(/cannot be fitted/)
    expect(problems({ loss: { features: { gamma: 0.1 } } }).join()).toMatch(/gives no hidden states/)
    expect(problems({})).toEqual([])
  })

  it('has its key in no file of the data directory, and in no report', () => {
    const files = readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, 'data', name))
      .filter((file) => statSync(file).isFile())
    expect(files.length).toBeGreaterThan(20)
    const { reports, runs } = services.rooms
    const ids = runs.list().flatMap(({ id, status }) => (status === 'completed' ? [id] : []))
    for (const format of ['html', 'md', 'json'] as const)
      expect(reports.write(ids, format, 'all')).not.toContain(KEY)
    for (const file of files) expect(readFileSync(file).includes(KEY), file).toBe(false)
  })
})
