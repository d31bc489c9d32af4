import { readFileSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse as parseYaml, stringify } from 'yaml'
import { numberOf, memoryMend, type Alarm, type AlarmSignature, type Experiment, type Run } from '#contract'
import { createServices, type Services } from '../services'
import { WorkerDeath } from '../services/jobs'
import { memoryKills, recordOutOfMemory } from '../services/memory'
import { builtWorkers } from './built'
import { openFurnished, type Furnished } from './testing'

/** Every failure signature by a run that really fails so, its mend, and runs that do not fail. */

let furnished: Furnished
let services: Services

const student = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 100, batch: 8, context: 24, learningRate: 0.01, warmup: 5 }
const rest = { evaluate: { every: 25, tokens: 500 }, checkpoint: { every: 0, keep: 1 } }
const both = [{ name: 'recipes' }, { name: 'sums' }]
const definition = (changes: object) => ({
  name: 'run',
  corpus: 'recipes',
  tokenizer: 'bpe',
  student,
  teachers: ['cook', 'baker'],
  train,
  ...rest,
  ...changes,
})

async function run(changes: object): Promise<Run> {
  const { experiments, queue } = services.rooms
  return queue.finished(experiments.start({ definition: stringify(definition(changes)) }).id)
}

/** The alarms of a run's folder, which its row and its log show. */
function alarmsOf({ id }: Run): Alarm[] {
  return services.rooms.runs
    .folder(id)
    .log()
    .flatMap(({ alarm }) => alarm ?? [])
}

/** Runs the definition, expects the one alarm, and runs the copy that its mend makes. */
async function failAndMend(
  signature: AlarmSignature,
  changes: object,
): Promise<{ alarm: Alarm; mended: Run; text: string }> {
  const { experiments, queue, runs } = services.rooms
  const failed = await run(changes)
  const alarms = alarmsOf(failed)
  expect(alarms.map((alarm) => alarm.signature)).toEqual([signature])
  expect(runs.row(failed.id).alarms).toEqual({ count: 1, last: alarms[0] })
  const copy = experiments.mend(failed.id, signature)
  expect(experiments.check({ definition: copy.definition }).problems).toEqual([])
  const mended = await queue.finished(experiments.start({ id: copy.id }).id)
  expect(mended, mended.reason).toMatchObject({ status: 'completed' })
  return { alarm: alarms[0]!, mended, text: copy.definition }
}

beforeAll(async () => {
  furnished = await openFurnished({ bytes: 100_000, vocab: 320 })
  services = furnished.services
  const { library } = services.rooms
  const model = { width: 24, layers: 2, heads: 2, context: 24 }
  const teach = async (name: string, corpus: string, seed: number, changes = {}) => {
    const spec = { name, corpus, tokenizer: 'bpe', model, train: { ...train, ...changes }, ...rest, seed }
    return alarmsOf(await furnished.teach(spec))
  }
  expect(await teach('cook', 'recipes', 3)).toEqual([])
  expect(await teach('baker', 'recipes', 4)).toEqual([])
  expect(await teach('clerk', 'sums', 5)).toEqual([])
  // A teacher that has learnt nothing.
  await teach('blank', 'recipes', 6, { steps: 1, warmup: 0, learningRate: 1e-6 })
  await library.deriveTeacher({ name: 'echo', from: 'cook', logitScale: 1.05 })
  await library.deriveTeacher({ name: 'sure-cook', from: 'cook', logitScale: 5 })
}, 120_000)
afterAll(() => furnished.close())

describe('an alarm is raised by a run that fails', () => {
  it('by mode collapse: a student that copies a teacher that knows nothing', async () => {
    const changes = { name: 'collapse', teachers: ['blank'], loss: { lambda: 1, features: false } }
    const { alarm, mended } = await failAndMend('mode-collapse', changes)
    expect(alarm.step).toBeGreaterThan(train.warmup)
    expect(alarm.evidence.entropy).toBeGreaterThan(0.98 * Math.log(320))
    expect(alarm.mend).toEqual(['loss.lambda=0.5'])
    expect(mended.evaluation!.studentEntropy!).toBeLessThan(0.98 * Math.log(320))
    expect(alarmsOf(mended)).toEqual([])
  })

  it('by a loss that oscillates: a target that jumps between teachers who contradict each other', async () => {
    const changes = {
      name: 'swing',
      corpus: both,
      teachers: ['cook', 'clerk'],
      weighting: { strategy: 'random', granularity: 'batch' },
      loss: { lambda: 1, features: false },
    }
    const { alarm, text } = await failAndMend('oscillating-loss', changes)
    expect(alarm.evidence.share).toBeGreaterThan(0.2)
    expect(alarm.mend).toEqual(['loss.conflict=gate'])
    expect(parseYaml(text)).toMatchObject({ loss: { conflict: 'gate', lambda: 1 } })
  })

  it('by homogeneous teachers: a teacher and its echo, of which the worse one goes', async () => {
    const changes = {
      name: 'same',
      teachers: ['cook', 'echo'],
      weighting: { strategy: 'fixed', weights: [3, 1] },
      loss: { features: { gamma: 0.1, beta: [2, 1] } },
    }
    const { alarm, mended, text } = await failAndMend('homogeneous-teachers', changes)
    expect(alarm).toMatchObject({ step: 0, advice: expect.stringContaining('Drop cook') as string })
    expect(alarm.evidence.meanDivergence).toBeLessThan(0.02)
    expect(parseYaml(text)).toMatchObject({
      teachers: ['echo'],
      weighting: { weights: [1] },
      loss: { features: { beta: [1] } },
    })
    expect(alarmsOf(mended)).toEqual([])
  })

  it('by a miscalibrated teacher: logits times five; a method that fixes the weighting is written out', async () => {
    const changes = { name: 'sure', method: 'proposed', corpus: both, teachers: ['sure-cook', 'clerk'] }
    const { alarm, mended } = await failAndMend('miscalibrated-teacher', changes)
    expect(alarm.message).toContain('sure-cook')
    expect(numberOf(alarm.evidence.confidence) - numberOf(alarm.evidence.accuracy)).toBeGreaterThan(0.15)
    expect(mended.method).toBe('calibrated-entropy')
    // Its temperature undoes what was done to it.
    const { config } = services.rooms.runs.get(mended.id)
    expect(config!.temperatures![0]!).toBeGreaterThan(2)
    expect(alarmsOf(mended)).toEqual([])
  })

  it('by divergence: a learning rate far too high', async () => {
    const ended = await run({ name: 'far', train: { ...train, learningRate: 50, clip: 0 } })
    expect(ended.status).toBe('failed')
    const [alarm, ...others] = alarmsOf(ended)
    expect(others).toEqual([])
    expect(alarm).toMatchObject({ signature: 'divergence', mend: ['train.learningRate=25', 'train.clip=1'] })
    // Alarm and reason say the same of the checkpoint, and it is so.
    const last = (await services.call('runs.checkpoints', { id: ended.id })).at(-1)?.step
    const said =
      last === undefined ? 'No checkpoint had been written.' : `The checkpoint of step ${last} is kept`
    expect(alarm!.advice).toContain(said)
    expect(ended.reason).toContain(said)
  })
})

/** A Node that may have `kilobytes` of memory of its own; undefined where the system cannot limit it. */
function limitedNode(kilobytes: number): string | undefined {
  const path = join(furnished.folder, 'node')
  const limit = `ulimit -d ${kilobytes}`
  writeFileSync(path, `#!/bin/sh\n${limit} && exec "${process.execPath}" "$@"\n`, { mode: 0o755 })
  const script = 'new Uint8Array(1.5e9).fill(1)'
  const [fits, tooMuch] = ['0', script].map((code) => spawnSync(path, ['-e', code]).status)
  return fits === 0 && tooMuch !== 0 ? path : undefined
}

describe('a lack of memory', () => {
  it('is an alarm of a run that gets no more; with smaller micro-batches the same run ends', async () => {
    const node = limitedNode(800_000)
    if (!node)
      return console.warn('SKIPPED: a run out of memory: this system does not limit the memory of a process')
    const dataDir = join(furnished.folder, 'data')
    await services.close()
    services = await createServices({ dataDir, spawnWorker: builtWorkers(node), host: 'cli' })
    try {
      const { experiments, queue } = services.rooms
      const large = { ...train, steps: 2, warmup: 1, batch: 2048 }
      const ended = await run({ name: 'large', train: large })
      expect(ended.status).toBe('failed')
      const [alarm, ...others] = alarmsOf(ended)
      expect(others).toEqual([])
      expect(alarm).toMatchObject({ signature: 'out-of-memory', mend: ['train.accumulate=2'] })
      expect(alarm!.evidence.microBatch).toBe(2048)
      const copy = experiments.mend(ended.id, 'out-of-memory')
      const { problems, resolved } = experiments.check({ definition: copy.definition })
      expect(problems).toEqual([])

      // The same mend four times more, until it fits.
      let experiment = resolved as Experiment
      for (let i = 0; i < 4; i++) {
        const accumulate = Number(memoryMend(experiment)[0]!.split('=')[1])
        experiment = { ...experiment, train: { ...experiment.train, accumulate } }
      }
      expect(experiment.train).toMatchObject({ batch: 2048, accumulate: 32 })
      const again = await queue.finished(experiments.start({ definition: stringify(experiment) }).id)
      expect(again, again.reason).toMatchObject({ status: 'completed', step: 2 })
    } finally {
      await services.close()
      services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
    }
  })

  it('is told from a worker killed by hand where the kernel counts whom it kills', async () => {
    const { runs, queue, experiments } = services.rooms
    const { id } = experiments.start({ definition: stringify(definition({ name: 'shot' })) })
    while (!runs.row(id).step) await sleep(20)
    process.kill(parseInt(readFileSync(join(runs.folder(id).path, 'worker.pid'), 'utf8')), 'SIGKILL')
    const ended = await queue.finished(id)
    expect(ended).toMatchObject({ status: 'failed', reason: expect.stringContaining('SIGKILL') as string })
    const kills = memoryKills()
    expect(alarmsOf(ended)).toHaveLength(kills === undefined ? 1 : 0)
    if (kills === undefined) return
    const death = new WorkerDeath({ code: null, signal: 'SIGKILL', stderr: '' })
    const { config } = runs.get(id)
    expect(recordOutOfMemory(runs.folder(id), config!, death, kills)).toBeUndefined()
    const alarm = recordOutOfMemory(runs.folder(id), config!, death, kills - 1)
    expect(alarmsOf(ended)).toEqual([alarm])
    expect(recordOutOfMemory(runs.folder(id), config!, death, kills - 1)).toBeUndefined()
  })
})

const healthy: Record<string, object> = {
  'cross-entropy only': { teachers: [] },
  'a single teacher': { teachers: ['cook'] },
  'specialists by entropy': { corpus: both, teachers: ['cook', 'clerk'] },
  'three teachers, uniform': {
    corpus: both,
    teachers: ['cook', 'baker', 'clerk'],
    weighting: { strategy: 'uniform' },
    seed: 2,
  },
  'calibrated entropy': {
    corpus: both,
    teachers: ['cook', 'clerk'],
    weighting: { strategy: 'calibrated-entropy' },
    seed: 3,
  },
  'reverse KL': {
    loss: { objective: 'reverse-kl', lambda: 0.7, features: false },
    train: { ...train, steps: 300 },
    seed: 4,
  },
  'Jensen-Shannon at tau 2': {
    loss: { objective: 'jsd', tau: 2 },
    weighting: { strategy: 'inverse-entropy' },
    seed: 5,
  },
  'two stages of TinyBERT': { method: 'tinybert', seed: 6 },
  'the likeliest tokens, sequence by sequence': {
    loss: { objective: 'top-k', topK: 20 },
    weighting: { granularity: 'sequence' },
    seed: 7,
  },
  'random weights, small batches': {
    weighting: { strategy: 'random' },
    train: { ...train, batch: 4, accumulate: 2, schedule: 'constant' },
    seed: 8,
  },
}

describe('no alarm is raised by a run that goes well', () => {
  for (const [name, changes] of Object.entries(healthy)) {
    it(name, async () => {
      const ended = await run(changes)
      expect(ended, ended.reason).toMatchObject({ status: 'completed' })
      expect(alarmsOf(ended)).toEqual([])
    })
  }
})
