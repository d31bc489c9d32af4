import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { numberOf, runFiles, type Run } from '#contract'
import { createServices, type Services } from '../services'
import { builtWorkers } from './built'

/** A software GPU; Debian's chromium brings it. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** A teacher that was trained here, the same as an ONNX file, and runs with either. */
let folder: string
let services: Services
const train = { steps: 4, batch: 4, context: 16, learningRate: 0.01, warmup: 1 }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  services = await createServices({
    dataDir: join(folder, 'data'),
    spawnWorker: builtWorkers(),
    host: 'cli',
  })
  const { library, experiments, models } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 40_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
  await ended(
    experiments.startTeacher(
      stringify({
        name: 'cook',
        corpus: 'recipes',
        tokenizer: 'bpe',
        model: { width: 24, layers: 2, heads: 4, kvHeads: 2, context: 64 },
        train: { ...train, steps: 30 },
        evaluate: { every: 0, tokens: 200 },
      }),
    ),
  )
  for (const [name, hiddenStates] of [
    ['cook-onnx', false],
    ['cook-seen', true],
  ] as const) {
    await models.export('cook', { format: 'onnx', out: join(folder, name), hiddenStates })
    await library.importTeacher({ path: join(folder, name, 'model.onnx'), name, tokenizerPath: 'bpe' })
  }
}, 120_000)
afterAll(async () => {
  await services.close()
  rmSync(folder, { recursive: true, force: true })
})

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
    student: { width: 16, layers: 1, heads: 2, context: 16 },
    teachers: ['cook'],
    loss: { lambda: 0.5, features: false },
    train,
    evaluate: { every: 0, tokens: 200 },
    ...changes,
  })

/** The losses of a run's steps, and what its last evaluation says of student and teacher. */
async function losses(changes: Record<string, unknown>): Promise<number[]> {
  const { id } = await ended(services.rooms.experiments.start({ definition: definition(changes) }))
  const lines = readFileSync(join(folder, 'data/runs', id, runFiles.metrics), 'utf8')
    .trim()
    .split('\n')
  return lines.flatMap((line) => {
    const { loss, features, klToFused, crossEntropy } = JSON.parse(line) as Record<string, number | undefined>
    return [loss, features, klToFused, crossEntropy].filter((value) => value !== undefined)
  })
}

describe('a teacher from an ONNX file', () => {
  it('is in the library with its size, context and the tokenizer that was there', () => {
    const { teachers, tokenizers } = services.rooms.library
    const [own, onnx] = teachers
    expect(onnx).toMatchObject({
      source: 'onnx',
      parameters: own!.parameters,
      tokenizer: own!.tokenizer,
      model: { family: 'onnx', vocab: 320, context: 64 },
    })
    expect(tokenizers).toHaveLength(1)
  })

  it('scores, writes, does tasks and calibrates as the model it was made of', async () => {
    const { models } = services.rooms
    const path = join(folder, 'task.jsonl')
    const lines = [
      { prompt: 'Cut the', target: 'leek', choices: ['leek', 'sum', 'onion rings'] },
      { prompt: 'Stir', target: 'well', choices: ['well', 'seven'] },
    ]
    writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'))
    const tasks = [{ format: 'text-to-text' as const, path }]
    const options = { tokens: 400, prompts: 2, tasks, examples: 2 }
    const [own] = await models.evaluate(['cook'], ['recipes'], options)
    const [onnx] = await models.evaluate(['cook-onnx'], ['recipes'], options)
    const same = ['tokens', 'parameters', 'prompts', 'bleu', 'rougeL', 'tasks'] as const
    for (const key of same) expect(onnx![key], key).toEqual(own![key])
    expect(own).toMatchObject({ prompts: 1, bleu: expect.any(Number), rougeL: expect.any(Number) })
    expect(onnx!.crossEntropy).toBeCloseTo(numberOf(own!.crossEntropy), 5)
    // Of one tokenizer, each compared with the other: the same model is no way off.
    const pair = await models.evaluate(['cook', 'cook-onnx'], ['recipes'], { tokens: 400, divergence: true })
    for (const [i, { kl }] of pair.entries())
      expect(kl).toEqual({ [pair[1 - i]!.model]: expect.closeTo(0, 5) })
    const prompt = 'Chop the'
    // As many tokens as make the context of 64 overflow.
    const drawn = { prompt, tokens: 90, temperature: 0.8, topP: 0.9, seed: 3 }
    const [text, again] = await Promise.all(
      ['cook', 'cook-onnx'].map((model) => services.call('models.generate', { model, ...drawn })),
    )
    expect(again!.text).toBe(text!.text)
    expect(again!.tokens).toBe(90)
    const [first, second] = await models.calibrate(['cook', 'cook-onnx'], ['recipes'])
    expect(second!.calibration.temperature).toBeCloseTo(first!.calibration.temperature, 3)
    expect(second!.calibration.after).toBeCloseTo(first!.calibration.after, 5)
  })

  it('teaches as the native one: cached, live, in micro-batches; the same run twice bit for bit', async () => {
    const live = { cache: { mode: 'off' } }
    const own = await losses(live)
    expect(own.length).toBeGreaterThan(train.steps)
    const teachers = ['cook-onnx']
    const parts = { ...live, teachers, train: { ...train, accumulate: 2 } }
    const first = await losses(parts)
    for (const onnx of [first, await losses({ teachers, cache: { mode: 'exact' } })]) {
      expect(onnx).toHaveLength(own.length)
      for (const [i, loss] of own.entries()) expect(Math.abs(onnx[i]! - loss)).toBeLessThan(1e-4)
    }
    expect(await losses(parts)).toEqual(first)
  }, 120_000)

  it('teaches by its hidden states, where its file gives them: cached and live', async () => {
    const features = { gamma: 0.5, layers: 'uniform', embedding: true }
    const seen = { loss: { lambda: 0.5, features }, teachers: ['cook-seen'] }
    const own = await losses({ ...seen, teachers: ['cook'], cache: { mode: 'off' } })
    for (const mode of ['off', 'exact']) {
      const onnx = await losses({ ...seen, cache: { mode } })
      expect(onnx).toHaveLength(own.length)
      for (const [i, loss] of own.entries()) expect(Math.abs(onnx[i]! - loss)).toBeLessThan(1e-4)
    }
  }, 120_000)

  it('teaches on WebGPU as on the CPU: live, in micro-batches, by hidden states, and cached', async () => {
    if (existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES ??= SWIFTSHADER
    const { backends } = await services.call('app.info', {})
    const { available, note } = backends.find(({ name }) => name === 'webgpu')!
    if (!available) return void process.stderr.write(`SKIPPED: ONNX teachers of a run on WebGPU: ${note}\n`)
    const features = { gamma: 0.5, layers: 'uniform', embedding: true }
    const seen = { loss: { lambda: 0.5, features }, teachers: ['cook-seen'], cache: { mode: 'off' } }
    const onCpu = await losses(seen)
    for (const changes of [{ train: { ...train, accumulate: 2 } }, { cache: { mode: 'exact' } }]) {
      const onGpu = await losses({ ...seen, ...changes, backend: 'webgpu' })
      expect(onGpu).toHaveLength(onCpu.length)
      for (const [i, loss] of onCpu.entries()) expect(Math.abs(onGpu[i]! / loss - 1)).toBeLessThan(1e-4)
    }
  }, 240_000)

  it('is refused where hidden states are asked of it', async () => {
    const { experiments, models } = services.rooms
    const start = () =>
      experiments.start({ definition: definition({ teachers: ['cook-onnx'], loss: { lambda: 0.5 } }) })
    expect(start).toThrow(
      /^loss\.features: teacher "cook-onnx" is an ONNX model .*no hidden states.*; expected false, or a model with the outputs hidden_states\.0/,
    )
    await expect(models.export('cook', { format: 'hf', out: folder, hiddenStates: true })).rejects.toThrow(
      /--hidden-states: .*expected --format onnx/,
    )
  })

  it('is not imported where anything is wrong: nothing stays', async () => {
    const { library } = services.rooms
    const path = join(folder, 'cook-onnx', 'model.onnx')
    await expect(library.importTeacher({ path, name: 'x', tokenizerPath: 'nobody' })).rejects.toThrow(
      /no such file, and no tokenizer "nobody"/,
    )
    await library.trainTokenizer({ name: 'large', corpora: ['recipes'], vocab: 330 })
    await expect(library.importTeacher({ path, name: 'x', tokenizerPath: 'large' })).rejects.toThrow(
      /vocabulary of 320, its tokenizer of 330/,
    )
    expect(library.teachers.map(({ name }) => name)).toEqual(['cook', 'cook-onnx', 'cook-seen'])
    expect(existsSync(join(folder, 'data/library/teachers/x'))).toBe(false)
    expect(existsSync(join(folder, 'data/library/tokenizers/x'))).toBe(false)
  })
})
