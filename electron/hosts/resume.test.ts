import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { Run } from '#contract'
import type { Services } from '../services'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
let services: Services

const train = { steps: 30, batch: 4, context: 24, learningRate: 0.003, warmup: 2 }

const definition = (name: string, changes: object) =>
  stringify({
    name,
    corpus: 'recipes',
    tokenizer: 'bpe',
    student: { width: 16, layers: 1, heads: 2, context: 24 },
    teachers: [],
    train,
    evaluate: { every: 10, tokens: 300 },
    checkpoint: { every: 10, keep: 2 },
    ...changes,
  })

beforeAll(async () => {
  furnished = await openFurnished()
  services = furnished.services
  for (const [name, corpus] of [
    ['cook', 'recipes'],
    ['clerk', 'sums'],
  ]) {
    await furnished.teach({
      name,
      corpus,
      tokenizer: 'bpe',
      model: { width: 16, layers: 1, heads: 2, context: 24 },
      train: { steps: 30, batch: 4, context: 24, learningRate: 0.003, warmup: 2 },
      evaluate: { every: 0, tokens: 300 },
    })
  }
  const exported = join(furnished.folder, 'exported')
  await services.rooms.models.export('cook', 'onnx', exported, { hiddenStates: true })
  await services.rooms.library.importTeacher({
    path: join(exported, 'model.onnx'),
    name: 'cook-onnx',
    tokenizerPath: 'bpe',
  })
  await undisturbed('first', {})
}, 60_000)
afterAll(() => furnished.close())

async function undisturbed(name: string, changes: object): Promise<Run> {
  return furnished.completed(services.rooms.experiments.start({ definition: definition(name, changes) }).id)
}

/** The same, its worker killed with -9 once it has logged `step`, and resumed after `meanwhile`. */
async function killed(
  name: string,
  changes: object,
  step: number,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<Run> {
  const { experiments, queue, runs } = services.rooms
  const { id } = experiments.start({ definition: definition(name, changes) })
  const folder = runs.folder(id)
  for (let tries = 0; (folder.metrics().steps.at(-1)?.step ?? 0) < step; tries++) {
    expect(tries).toBeLessThan(6000)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  process.kill(Number(readFileSync(join(folder.path, 'worker.pid'), 'utf8')), 'SIGKILL')
  expect(await queue.finished(id)).toMatchObject({ status: 'failed' })
  await meanwhile()
  queue.resume(id)
  const run = await queue.finished(id)
  expect(run, run.reason).toMatchObject({ status: 'completed', step: 30 })
  return run
}

/** What a run computed: everything of its records but the clock, and the digest of its last weights. */
function computed({ id }: Run) {
  const folder = services.rooms.runs.folder(id)
  const { steps, evaluations } = folder.metrics()
  return {
    steps: steps.map(({ seconds: _, tokensPerSecond: __, ...record }) => record),
    evaluations: evaluations.map(({ seconds: _, ...record }) => record),
    weights: folder.checkpoints().at(-1)!.files['model.safetensors'],
  }
}

describe('a run killed with -9 and resumed computes what an undisturbed one does, bit for bit', () => {
  it.each([
    [
      'with temperatures fitted before its first step',
      { teachers: ['cook', 'clerk'], weighting: { strategy: 'calibrated-entropy' } },
    ],
    [
      'with an ONNX file as a teacher, live in micro-batches, its hidden states too',
      {
        teachers: ['cook-onnx', 'clerk'],
        loss: { features: { gamma: 0.3, layers: 'uniform' } },
        train: { ...train, accumulate: 2 },
        cache: { mode: 'off' },
      },
    ],
    [
      'with a cached ONNX file as a teacher',
      { teachers: ['cook-onnx'], loss: { features: { gamma: 0.3 } }, cache: { mode: 'exact' } },
    ],
    [
      'with a retention loss to its earlier self',
      {
        corpus: 'sums',
        teachers: ['clerk'],
        loss: { features: false },
        continue: { run: 'first', retention: { weight: 0.5, tau: 2 } },
      },
    ],
    [
      'in half precision of what waits, with its loss scale',
      { teachers: ['cook', 'clerk'], train: { ...train, precision: 'f16' } },
    ],
  ])('%s', async (name, changes) => {
    const expected = computed(await undisturbed(`${name.split(' ')[2]}-whole`, changes))
    expect(expected.steps).toHaveLength(30)
    // Before the first checkpoint, and between two.
    for (const step of [4, 16])
      expect(computed(await killed(`${name.split(' ')[2]}-killed-${step}`, changes, step))).toEqual(expected)
  })

  it('with as many threads as it began with, whatever the setting has become', async () => {
    const whole = await undisturbed('threads-whole', {})
    const threads = ({ id }: Run) => services.rooms.runs.folder(id).environment()!.threads
    const more = { threads: threads(whole) + 1 }
    const run = await killed('threads-killed', {}, 16, () => services.call('settings.set', more))
    expect(threads(run)).toBe(threads(whole))
    expect(computed(run)).toEqual(computed(whole))
    // A new run has what the setting says.
    expect(threads(await undisturbed('threads-more', {}))).toBe(more.threads)
  })
})
