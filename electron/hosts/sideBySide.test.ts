import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, experiment, type RunConfig } from '#contract'
import { createServices, type Services } from '../services'
import { libraryRows } from '../services/context'
import { resolveExperiment } from '../services/experiments'
import { paceOf, SideBySide, type Speeds } from '../services/grids'
import { builtWorkers } from './built'

let dataDir: string
let services: Services
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library, experiments, queue } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 30_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 300 })
  const teacher = {
    name: 'cook',
    corpus: 'recipes',
    tokenizer: 'bpe',
    model: { width: 16, layers: 1, heads: 2, context: 16 },
    train: { steps: 2, batch: 2, context: 16, warmup: 1 },
    evaluate: { every: 0, tokens: 100 },
  }
  await queue.finished(experiments.startTeacher(JSON.stringify(teacher)).id)
}, 60_000)
afterAll(async () => {
  await services.close()
  rmSync(dataDir, { recursive: true, force: true })
})

const definitionOf = (batch: number) => ({
  name: 'cell',
  corpus: 'recipes',
  student: { width: 16, layers: 1, heads: 2, context: 16 },
  teachers: ['cook'],
  train: { steps: 500, batch, context: 16, warmup: 2 },
})

const configOf = (batch: number): RunConfig =>
  resolveExperiment(parse(experiment, definitionOf(batch)), libraryRows(services.rooms.context))

/** Tells speeds instead of measuring them, and counts how often it was asked. */
function told(speeds: Speeds) {
  let asked = 0
  const sideBySide = new SideBySide(services.rooms.context, async () => {
    asked++
    return speeds
  })
  return { sideBySide, asked: () => asked }
}

describe.skipIf(availableParallelism() < 2)('runs side by side', () => {
  it('are as many as was measured to be faster, measured once for each size and remembered', async () => {
    const { sideBySide, asked } = told({ alone: 100, together: 150 })
    expect(sideBySide.known(configOf(2), 'exact')).toBeUndefined()
    expect(await sideBySide.choose(configOf(2), 'exact')).toMatchObject({ jobs: 2 })
    expect(await sideBySide.choose({ ...configOf(2), name: 'other' }, 'exact')).toMatchObject({ jobs: 2 })
    expect(asked()).toBe(1)
    // A process later.
    const later = told({ alone: 100, together: 90 })
    expect(await later.sideBySide.choose(configOf(2), 'exact')).toMatchObject({ jobs: 2 })
    expect(later.asked()).toBe(0)
    expect(await later.sideBySide.choose(configOf(4), 'exact')).toMatchObject({ jobs: 1 })
    expect(await later.sideBySide.choose(configOf(2), 'off')).toMatchObject({ jobs: 1 })
    expect(later.asked()).toBe(2)
    // What is damaged is measured anew.
    writeFileSync(join(dataDir, 'side-by-side.json'), '{')
    expect(await later.sideBySide.choose(configOf(2), 'exact')).toMatchObject({ jobs: 1 })
  })

  it('are one where two do not fit into the memory, which is not tried', async () => {
    const { memoryGb } = services.rooms.context.catalogue.data.settings
    await services.call('settings.set', { memoryGb: 0.1 })
    const { sideBySide, asked } = told({ alone: 100, together: 200 })
    expect(await sideBySide.choose(configOf(8), 'exact')).toMatchObject({
      jobs: 1,
      why: expect.stringContaining('MB of memory, 102 MB can be had') as string,
    })
    expect(asked()).toBe(0)
    await services.call('settings.set', { memoryGb })
  })

  it('are one where the trial fails, and the next one is tried again', async () => {
    let asked = 0
    const sideBySide = new SideBySide(services.rooms.context, async () => {
      if (asked++ === 0) throw new Error('no memory left')
      return { alone: 1, together: 2 }
    })
    expect(await sideBySide.choose(configOf(16), 'off')).toEqual({
      jobs: 1,
      why: 'the trial failed: no memory left',
    })
    expect(await sideBySide.choose(configOf(16), 'off')).toMatchObject({ jobs: 2 })
  })

  it('are measured for the largest cell of a grid by real runs, which leave nothing but their tokens', async () => {
    const { grids } = services.rooms
    const axes = { 'train.batch': [16, 32] }
    const params = { definition: JSON.stringify({ name: 'g', base: definitionOf(32), axes }) }
    const files = () =>
      readdirSync(dataDir, { recursive: true })
        .map(String)
        .filter((file) => !/tokens|side-by-side/.test(file))
        .sort()
    const before = files()
    expect(await grids.chooseJobs(params)).toEqual({ jobs: 1, why: 'not measured yet' })
    const measured = await grids.chooseJobs(params, undefined, { signal: new AbortController().signal })
    // A machine that starts the two far apart has measured nothing, and says so.
    const missed = { jobs: 1, why: 'the trial failed: the two runs of it were not at work at the same time' }
    if (measured.why === missed.why) expect(measured).toEqual(missed)
    else {
      expect(measured.why).toMatch(/^measured: [1-9]\d* tokens\/s by one at a time, [1-9]\d* by two at once$/)
      expect(await grids.chooseJobs(params)).toEqual(measured)
    }
    expect(files()).toEqual(before)
  }, 60_000)

  it('count only while all of them were at work', () => {
    const run = (start: number, pace: number) =>
      Array.from({ length: 8 }, (_, i) => ({ at: start + i, tokensPerSecond: i < 3 ? 1 : pace + i }))
    // Of the first, steps 4 to 8 at 3 to 7; of two, what lies between the later start and the earlier end.
    expect(paceOf([run(0, 100)])).toBe(105)
    expect(paceOf([run(0, 100), run(2, 200)])).toBe(106 + 204)
    expect(paceOf([run(0, 100), run(20, 100)])).toBe(0)
  })
})
