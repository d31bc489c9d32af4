import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
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
  await services.rooms.models.export('cook', { format: 'onnx', out: exported, hiddenStates: true })
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
  meanwhile: (folder: string) => Promise<unknown> | unknown = () => {},
): Promise<Run> {
  const id = await killedAt(name, changes, step)
  await meanwhile(services.rooms.runs.folder(id).path)
  services.rooms.queue.resume(id)
  const run = await services.rooms.queue.finished(id)
  expect(run, run.reason).toMatchObject({ status: 'completed', step: 30 })
  return run
}

/** Its worker killed with -9 once it has logged `step`. */
async function killedAt(name: string, changes: object, step: number): Promise<string> {
  const { id } = services.rooms.experiments.start({ definition: definition(name, changes) })
  await furnished.kill(id, step)
  return id
}

/** What a run computed, what its student wrote included. */
const computed = ({ id }: Run) => ({
  ...furnished.computed(id),
  writings: written(services.rooms.runs.folder(id).path),
})

/** What a run says that its student wrote; undefined of one whose student does not. */
function written(folder: string): string | undefined {
  const file = join(folder, 'writings.jsonl')
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
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
      'with states of its teachers, from the cache',
      {
        teachers: ['cook', 'clerk'],
        weighting: { strategy: 'calibrated-entropy' },
        cache: { mode: 'states', precision: 'f16' },
      },
    ],
    [
      'with teachers in 8 bits, one of them from the cache',
      { teachers: [{ name: 'cook', precision: 'int8' }, 'clerk'], cache: { mode: 'states' } },
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
    [
      'on text that its student writes',
      {
        corpus: [{ name: 'recipes' }, { name: 'sums' }],
        teachers: ['cook', 'clerk'],
        loss: { objective: 'reverse-kl', lambda: 1, features: false },
        train: { ...train, source: { kind: 'student', prompts: { tokens: 6 }, tokens: 12 } },
      },
    ],
    [
      'on mixed text, half of it kept and written again now and then',
      {
        teachers: ['cook', 'clerk'],
        train: {
          ...train,
          accumulate: 2,
          source: { kind: 'mixed', prompts: { tokens: 6 }, tokens: 12, topP: 0.9, every: 3, buffer: 7 },
        },
      },
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

describe('a run that was killed, and whose folder was damaged then', () => {
  const metrics = (folder: string) => join(folder, 'metrics.jsonl')
  const linesOf = (folder: string) => readFileSync(metrics(folder), 'utf8').split('\n')
  const newest = (folder: string, file: string) => join(folder, 'checkpoints', 'step-000020', file)
  let whole: ReturnType<typeof computed>
  beforeAll(async () => {
    whole = computed(await undisturbed('damaged-whole', {}))
  })

  it.each<[string, (folder: string) => void, RegExp]>([
    [
      'a log that ends before the newest checkpoint',
      (folder) => writeFileSync(metrics(folder), linesOf(folder).slice(0, 15).join('\n')),
      /^step-000020 is passed over: metrics\.jsonl lacks the record of step 14; on from step-000010$/,
    ],
    [
      "a log without the checkpoint's own evaluation",
      (folder) => {
        const before = linesOf(folder).findIndex(
          (line) => line.includes('"step":20,') && line.includes('split'),
        )
        writeFileSync(metrics(folder), `${linesOf(folder).slice(0, before).join('\n')}\n{"split":"held`)
      },
      /^step-000020 is passed over: metrics\.jsonl lacks the evaluation of step 20; on from step-000010$/,
    ],
    [
      'a line of the log that is no record',
      (folder) => {
        const lines = linesOf(folder)
        lines[12] = lines[12]!.slice(0, 40)
        writeFileSync(metrics(folder), lines.join('\n'))
      },
      /^step-000020 is passed over: metrics\.jsonl lacks the record of step 12; on from step-000010$/,
    ],
    [
      'a state that is cut off',
      (folder) => truncateSync(newest(folder, 'optimizer.safetensors'), 1000),
      /^step-000020 is passed over: .*optimizer\.safetensors: the content is not what.*; on from step-000010$/,
    ],
    [
      'a checkpoint whose description is cut off',
      (folder) => truncateSync(newest(folder, 'checkpoint.json'), 60),
      /^step-000020 is passed over: .*checkpoint\.json: it cannot be read as JSON .*; on from step-000010$/,
    ],
  ])('goes on from an older checkpoint, bit for bit: %s', async (name, damage, told) => {
    const run = await killed(name.split(' ').slice(-3).join('-'), {}, 22, damage)
    expect(computed(run)).toEqual(whole)
    const warned = services.rooms.runs
      .folder(run.id)
      .log()
      .filter(({ message }) => message?.includes('passed over'))
    expect(warned.map(({ message }) => message)).toEqual([expect.stringMatching(told)])
  })

  it('is refused where no checkpoint will do, and left as it is', async () => {
    const { queue, runs } = services.rooms
    const id = await killedAt('damaged-lost', {}, 22)
    const folder = runs.folder(id)
    rmSync(metrics(folder.path))
    queue.resume(id)
    const { status, reason } = await queue.finished(id)
    expect(status).toBe('failed')
    expect(reason).toMatch(
      /checkpoints: the run can go on from none of its checkpoints \(step-000020: metrics\.jsonl lacks the record of step 1; step-000010: .*\); expected/,
    )
    expect(folder.checkpoints().map(({ step }) => step)).toEqual([10, 20])
  })

  it('is refused where its adapters would go on beside another model', async () => {
    const { queue, runs } = services.rooms
    const id = await killedAt('damaged-base', { student: { from: 'cook', lora: { rank: 2 } } }, 14)
    const base = join(runs.folder(id).path, 'base', 'model.safetensors')
    const bytes = readFileSync(base)
    // The sign of the last number: it is read without a fault.
    bytes[bytes.length - 1]! ^= 0x80
    writeFileSync(base, bytes)
    const before = readFileSync(metrics(runs.folder(id).path), 'utf8')
    queue.resume(id)
    const { status, reason } = await queue.finished(id)
    expect(status).toBe('failed')
    expect(reason).toMatch(
      /^the model that the adapters stand beside has changed since \(.*base\/model\.safetensors; expected SHA-256 [0-9a-f]{64}\)$/,
    )
    expect(readFileSync(metrics(runs.folder(id).path), 'utf8')).toBe(before)
  })
})
