import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse as parseYaml, stringify } from 'yaml'
import { numberOf, type Run } from '#contract'
import type { Services } from '../services'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
let services: Services
let first: Run

const student = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 20, batch: 4, context: 24, learningRate: 0.003, warmup: 2 }
const definition = (changes: object) => ({
  name: 'first',
  corpus: 'recipes',
  tokenizer: 'bpe',
  student,
  teachers: [],
  train,
  evaluate: { every: 10, tokens: 300 },
  checkpoint: { every: 10, keep: 2 },
  ...changes,
})

async function run(changes: object): Promise<Run> {
  const { id } = services.rooms.experiments.start({ definition: stringify(definition(changes)) })
  return furnished.completed(id)
}

beforeAll(async () => {
  furnished = await openFurnished()
  services = furnished.services
  await services.rooms.library.trainTokenizer({ name: 'other', corpora: ['sums'], vocab: 290 })
  const { name: _, teachers: __, student: model, ...spec } = definition({})
  await furnished.teach({ ...spec, name: 'cook', model })
  first = await run({})
}, 60_000)
afterAll(() => furnished.close())

describe('a continued run', () => {
  it('begins with the weights of the earlier one, evaluates both runs’ corpora, and outlives it', async () => {
    const copy = services.rooms.experiments.continueRun(first.id)
    expect(parseYaml(copy.definition)).toMatchObject({ continue: { run: first.id }, teachers: [] })
    const changes = {
      name: 'second',
      corpus: 'sums',
      teachers: ['cook'],
      loss: { features: false },
      continue: { run: 'first', retention: { weight: 0.5, tau: 2 } },
    }
    const { id } = await run(changes)
    const { config } = services.rooms.runs.get(id)
    const checkpoints = services.rooms.runs.folder(first.id).checkpoints()
    const from = checkpoints.find(({ step }) => step === config!.continues!.step)!
    expect(config!.continues!.digest).toBe(from.files['model.safetensors'])
    expect(config!.continues!.corpora.map(({ name }) => name)).toEqual(['recipes'])

    const { steps, evaluations } = services.rooms.runs.folder(id).metrics()
    // Before its first step it is the earlier student: the same cross-entropy on the earlier run's held-out text.
    const earlier = services.rooms.runs.folder(first.id).metrics().evaluations
    const then = earlier.find(({ step }) => step === from.step)!
    expect(evaluations[0]).toMatchObject({ step: 0 })
    expect(evaluations[0]!.retained![0]!.crossEntropy).toBeCloseTo(numberOf(then.crossEntropy), 5)
    // It is itself at the first step, so there is nothing to retain yet; later there is.
    expect(steps[0]!.retention).toBeCloseTo(0, 4)
    expect(steps.at(-1)!.retention).toBeGreaterThan(1e-4)

    const { rows } = await services.rooms.runs.compare({ ids: [id] })
    const [before, after] = [evaluations[0]!, evaluations.at(-1)!].map((e) =>
      numberOf(e.retained![0]!.bitsPerByte),
    )
    expect(rows[0]!.values.forgetting).toBeCloseTo(after! - before!)
    const report = services.rooms.reports.write([id], 'md', 'report')
    expect(report).toContain('Before and after: second')
    expect(report).toContain('recipes (no longer trained on)')

    services.rooms.runs.remove((await run({ ...changes, name: 'third' })).id)
    const kept = join(furnished.folder, 'data', 'runs', id, 'earlier', 'model.safetensors')
    const source = join(furnished.folder, 'data', 'runs', first.id, 'checkpoints')
    const original = join(source, `step-${String(from.step).padStart(6, '0')}`, 'model.safetensors')
    expect(readFileSync(kept).equals(readFileSync(original))).toBe(true)
  }, 60_000)

  it('is refused with the reason when the student is another one or there is none to go on with', () => {
    const { experiments } = services.rooms
    const problem = (changes: object) =>
      experiments.check({ definition: stringify(definition({ continue: { run: 'first' }, ...changes })) })
        .problems[0]
    expect(problem({})).toBeUndefined()
    expect(problem({ student: { ...student, width: 32 } })).toMatchObject({
      field: 'student.width',
      message: expect.stringContaining('has width 16, this one 32') as string,
    })
    expect(problem({ tokenizer: 'other' })).toMatchObject({
      field: 'continue.run',
      message: expect.stringContaining('tokenizer "bpe"') as string,
    })
    expect(problem({ continue: { run: 'frist' } })?.field).toBe('continue.run')
    const empty = experiments.start({ definition: stringify(definition({ name: 'empty' })) })
    expect(problem({ continue: { run: 'empty' } })?.message).toMatch(/is (queued|running)/)
    services.rooms.queue.stop(empty.id)
  })
})
