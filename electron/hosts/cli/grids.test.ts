import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { numberOf, type StepRecord } from '#contract'
import { createServices, type Services } from '../../services'
import { builtWorkers } from '../built'

let folder: string
let dataDir: string
const open = (dir = dataDir) => createServices({ dataDir: dir, spawnWorker: builtWorkers(), host: 'cli' })

const base = {
  name: 'base',
  corpus: 'recipes',
  student: { width: 16, layers: 1, heads: 2, context: 16 },
  teachers: ['t1', 't2'],
  train: { steps: 6, batch: 2, context: 16, learningRate: 0.003, warmup: 2 },
  evaluate: { every: 3, tokens: 100 },
  checkpoint: { every: 3 },
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  dataDir = join(folder, 'data')
  const services = await open()
  const { library, experiments, queue } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 30_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 300 })
  const { student, train, teachers, ...rest } = base
  for (const [i, name] of teachers.entries()) {
    const run = experiments.startTeacher(
      stringify({ ...rest, name, tokenizer: 'bpe', model: student, train, seed: i + 1 }),
    )
    await queue.finished(run.id)
  }
  experiments.save({ definition: stringify(base) })
  await services.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function losses(dir: string, run: string): (number | null)[] {
  const lines = readFileSync(join(dir, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as Record<string, number>).map((r) => r.loss ?? r.klToFused!)
}

/** What each step says of its teachers: entropy and weight of each, and how far they are apart. */
function ofTeachers(dir: string, run: string): number[] {
  const lines = readFileSync(join(dir, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines
    .map((line) => JSON.parse(line) as StepRecord)
    .flatMap(({ teacherEntropy = [], alpha = [], disagreement = 0 }) => [
      ...teacherEntropy,
      ...alpha,
      disagreement,
    ])
    .map(numberOf)
}

async function work(services: Services, params: Parameters<Services['rooms']['grids']['start']>[0]) {
  const { grids } = services.rooms
  return grids.finished(grids.start(params).id)
}

describe('a grid at work', () => {
  it('costs one pass per teacher, changes no loss by it, takes up what is done, and ends in a report', async () => {
    const cached = join(folder, 'cached')
    cpSync(dataDir, cached, { recursive: true })
    const axes = { 'loss.tau': [1, 2], 'loss.features.gamma': [0, 0.1] }
    const grid = (mode: string, more = axes) =>
      stringify({ name: 'g', base: { ...base, cache: { mode } }, axes: more })

    const shared = await open(cached)
    const expected = await shared.call('grids.estimate', { definition: grid('exact') })
    expect(expected).toMatchObject({ cells: 4, done: 0, teacherPasses: 2, teacherPassesWithoutCache: 8 })
    const row = await work(shared, { definition: grid('exact') })
    expect(row).toMatchObject({ status: 'completed', teacherPasses: 2, cacheHits: 6 })
    expect(shared.rooms.reports.list()).toMatchObject([{ id: row.report }])
    // An edited grid keeps its cells: only what is new is computed.
    const larger = await work(shared, { definition: grid('exact', { ...axes, 'loss.tau': [1, 2, 3] }) })
    expect(larger.id).toBe(row.id)
    const before = row.cells.map(({ run }) => run)
    expect(larger.cells.map(({ run }) => run)).toEqual(expect.arrayContaining(before))
    expect(larger.cells).toHaveLength(6)
    expect(larger.teacherPasses).toBe(2)
    const after = await shared.call('grids.estimate', { id: larger.id })
    expect(after.each.map(({ done, diskMb }) => [done, diskMb])).toEqual(Array(6).fill([true, 0]))
    const { content } = shared.rooms.reports.get(larger.report!)
    expect(content).toContain('Teacher passes')

    // Six parts: each teacher's outputs on the training batches, the held-out and the calibration windows.
    const entries = await shared.call('cache.list', {})
    expect(
      entries.map(({ teacher, corpora, split, hits }) => [teacher, ...corpora, split, hits]).sort(),
    ).toEqual(
      ['t1', 't2'].flatMap((teacher) => [
        [teacher, 'recipes', 'calibration', 5],
        [teacher, 'recipes', 'held-out', 5],
        [teacher, 'recipes', 'train', 5],
      ]),
    )
    const [first] = entries
    expect(await shared.call('cache.clear', { keys: [first!.key] })).toEqual({
      removed: 1,
      bytes: first!.bytes,
      inUse: 0,
    })
    // A run that keeps its teachers' outputs makes room for them: under so small a limit nothing unused stays.
    await shared.call('settings.set', { cacheGb: 1e-9 })
    const { id } = await shared.call('experiments.start', {
      definition: stringify({ ...base, name: 'alone', seed: 9, cache: { mode: 'exact' } }),
    })
    expect((await shared.rooms.queue.finished(id)).status).toBe('completed')
    const left = await shared.call('cache.list', {})
    // The held-out and calibration windows of both teachers are this run's too; the batches are those of its own seed.
    expect(left).toHaveLength(6)
    expect(left.filter(({ split, hits }) => split === 'train' && hits > 0)).toEqual([])
    expect((await shared.call('cache.clear', {})).removed).toBe(6)
    await shared.close()

    const alone = await open()
    const live = await work(alone, { definition: grid('off') })
    expect(live).toMatchObject({ teacherPasses: 8, cacheHits: 0 })
    for (const [i, cell] of live.cells.entries()) {
      const [a, b] = [losses(dataDir, cell.run!), losses(cached, row.cells[i]!.run!)]
      expect(b).toHaveLength(a.length)
      for (const [j, loss] of a.entries()) expect(Math.abs(loss! - b[j]!)).toBeLessThan(1e-5)
      const [of, from] = [ofTeachers(dataDir, cell.run!), ofTeachers(cached, row.cells[i]!.run!)]
      expect(of.length).toBeGreaterThan(a.length)
      expect(from).toHaveLength(of.length)
      for (const [j, said] of of.entries()) expect(Math.abs(said - from[j]!)).toBeLessThan(1e-5)
    }
    await alone.close()
  })

  it('keeps hidden states by itself, in a tenth of the room, and changes no loss by it', async () => {
    const states = join(folder, 'states')
    cpSync(dataDir, states, { recursive: true })
    const grid = (mode: string) =>
      stringify({ name: 'h', base: { ...base, cache: { mode } }, axes: { 'loss.lambda': [0.3, 0.6] } })
    const services = await open(states)
    const quote = (mode: string) => services.call('grids.estimate', { definition: grid(mode) })
    // 16 numbers a token where logits and their statistics take 302; and 16 of the features.
    expect((await quote('auto')).cacheBytesPerToken).toBe(4 * (16 + 16))
    expect((await quote('exact')).cacheBytesPerToken).toBe(4 * (302 + 16))
    const row = await work(services, { definition: grid('auto') })
    expect(row).toMatchObject({ status: 'completed', teacherPasses: 2, cacheHits: 2 })
    const cache = join(states, 'cache', 'teachers')
    const files = readdirSync(cache).map((key) =>
      readdirSync(join(cache, key)).filter((name) => /^(exact|states)/.test(name)),
    )
    expect(files).toEqual(Array(6).fill(['states-f32.bin']))
    const live = await work(services, { definition: grid('off') })
    await services.close()
    for (const [i, cell] of live.cells.entries()) {
      const [of, from] = [losses(states, cell.run!), losses(states, row.cells[i]!.run!)]
      expect(from).toHaveLength(of.length)
      for (const [j, loss] of of.entries()) expect(Math.abs(loss! - from[j]!)).toBeLessThan(1e-5)
    }
  })

  it('stops early what is behind, tells of it, averages it nowhere, and goes on with it by hand', async () => {
    const services = await open()
    const { grids, queue, reports } = services.rooms
    const axes = { 'train.learningRate': [1e-7, 0.003, 1e-6] }
    const long = { ...base, train: { ...base.train, steps: 9 } }
    const definition = {
      name: 'halved',
      base: long,
      axes,
      seeds: [1, 2],
      halving: { minSteps: 3, reduction: 3 },
    }
    const row = await work(services, { definition: stringify(definition) })
    expect(row.status).toBe('completed')
    const ends = [3, 9].map((step) => [step, row.cells.filter((cell) => cell.step === step).length])
    // Three settings at step 3, the best one at the end, both seeds of each together.
    expect(ends).toEqual([
      [3, 4],
      [9, 2],
    ])
    const kept = row.cells.filter(({ step }) => step > 3)
    expect(new Set(kept.map((cell) => cell.axes['train.learningRate']))).toEqual(new Set([0.003]))
    for (const { step, status, halving, reason } of row.cells) {
      if (step === 9) expect([status, halving]).toEqual(['completed', undefined])
      else {
        expect([status, halving]).toEqual(['stopped', 'stopped'])
        expect(reason).toMatch(`stopped by halving at step ${step}`)
      }
    }
    const results = await services.call('grids.results', { id: row.id })
    expect(results.settings.filter(({ mean }) => mean !== null)).toHaveLength(1)
    expect(results.settings.reduce((sum, { stopped }) => sum + stopped, 0)).toBe(4)
    const report = reports.get(row.report!)
    expect(report.row.runs).toHaveLength(2)
    expect(report.content).toContain('Stopped by halving')
    // Promoted ones are what they would have been without a stop on the way.
    const whole = await work(services, {
      definition: stringify({
        ...definition,
        name: 'whole',
        axes: { 'train.learningRate': [0.02] },
        seeds: [1],
      }),
    })
    expect(whole.cells).toMatchObject([{ status: 'completed', step: 9 }])
    const again = await services.call('experiments.start', {
      definition: stringify({ ...long, name: 'again', train: { ...long.train, learningRate: 0.02 } }),
    })
    await queue.finished(again.id)
    expect(losses(dataDir, whole.cells[0]!.run!)).toEqual(losses(dataDir, again.id))
    // By hand.
    const stopped = row.cells.find(({ step }) => step === 3)!
    queue.resume(stopped.run!)
    expect(await queue.finished(stopped.run!)).toMatchObject({ status: 'completed', step: 9 })
    expect(grids.get(row.id).cells.filter(({ status }) => status === 'completed')).toHaveLength(3)
    // Started again, it has nothing to do.
    const before = row.cells.map(({ run }) => run)
    const resumed = await work(services, { id: row.id })
    expect(resumed.cells.map(({ run }) => run)).toEqual(before)
    expect(resumed.cells.filter(({ halving }) => halving === 'stopped')).toHaveLength(3)
    await services.close()
  }, 240_000)

  it('starts from a preset on an experiment with one call and needs no other', async () => {
    const services = await open()
    const row = await work(services, { preset: 'teacher-count', experiment: 'base', seeds: [1] })
    expect(row.cells.map(({ axes, status }) => [axes.teachers, status])).toEqual([
      [['t1'], 'completed'],
      [['t1', 't2'], 'completed'],
    ])
    expect(services.rooms.reports.get(row.report!).row.runs).toEqual(row.cells.map(({ run }) => run))
    // The other two ablations that the paper asks for, each to its report.
    for (const [preset, cells] of [
      ['weighting', 7],
      ['features', 4],
    ] as const) {
      const { status, report, ...rest } = await work(services, { preset, experiment: 'base', seeds: [1] })
      expect([preset, status, rest.cells.length]).toEqual([preset, 'completed', cells])
      const { row, content } = services.rooms.reports.get(report!)
      expect([...row.runs].sort()).toEqual(rest.cells.map(({ run }) => run).sort())
      expect(content).toContain('Held-out metrics')
    }
    await services.close()
  }, 240_000)

  it('that failed is whole once its cells were tried again one by one', async () => {
    const services = await open()
    const { grids, queue } = services.rooms
    const definition = stringify({ name: 'retried', base, axes: { 'loss.lambda': [0.3, 0.4] } })
    const { id, cells } = grids.start({ definition })
    const waiting = cells.at(-1)!.run!
    queue.stop(waiting)
    expect((await grids.finished(id)).status).toBe('failed')
    queue.resume(waiting)
    await queue.finished(waiting)
    const row = grids.get(id)
    expect(row.status).toBe('completed')
    expect(services.rooms.reports.get(row.report!).row.runs).toEqual(row.cells.map(({ run }) => run))
    await services.close()
  })
})
