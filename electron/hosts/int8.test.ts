import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { int8Words } from '#contract'
import type { Services } from '../services'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
let services: Services

const model = { width: 16, layers: 1, heads: 2, context: 24 }
const small = { name: 'cook', precision: 'int8' }

beforeAll(async () => {
  furnished = await openFurnished({ sums: false })
  services = furnished.services
  const train = { steps: 40, batch: 8, context: 24, learningRate: 0.01, warmup: 2 }
  const evaluate = { every: 0, tokens: 300 }
  await furnished.teach({ name: 'cook', corpus: 'recipes', tokenizer: 'bpe', model, train, evaluate })
})
afterAll(() => furnished.close())

const definition = (name: string, changes: object) =>
  stringify({
    name,
    corpus: 'recipes',
    student: model,
    teachers: [small],
    loss: { features: { gamma: 0.2 } },
    train: { steps: 6, batch: 4, context: 24, warmup: 2 },
    evaluate: { every: 3, tokens: 300 },
    ...changes,
  })

/** The losses of a run's steps, and its student's distances from the target at the evaluations. */
async function losses(name: string, changes: object): Promise<number[]> {
  const { experiments, runs } = services.rooms
  const { id } = await furnished.completed(experiments.start({ definition: definition(name, changes) }).id)
  const { steps, evaluations } = runs.folder(id).metrics()
  return [...steps.map(({ loss }) => loss), ...evaluations.map(({ klToFused }) => klToFused)] as number[]
}

const furthest = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

describe('a teacher in 8 bits', () => {
  it('costs what is measured on held-out text', async () => {
    const [measured] = await services.rooms.models.measureInt8(['cook'], ['recipes'])
    const { cost } = measured!
    expect(services.rooms.library.teachers.find(({ name }) => name === 'cook')!.int8).toEqual(cost)
    const [score] = await services.rooms.models.evaluate(['cook'], ['recipes'], { tokens: 4096 })
    expect(cost.tokens).toBe(score!.tokens)
    expect(cost.perplexity.f32).toBeCloseTo(score!.perplexity as number, 3)
    // A KL is never negative; this one is of a model that is nearly the same.
    expect(cost.kl).toBeGreaterThan(0)
    expect(cost.kl).toBeLessThan(0.01)
    expect(cost.perplexity.int8 / cost.perplexity.f32).toBeCloseTo(1, 2)
    expect(int8Words(cost)).toMatch(/^8 bits cost .* nats a token \(KL\), perplexity .* where f32 has /)
  })

  it('teaches the same live and from each cache, apart from what it says in f32', async () => {
    const live = await losses('live', { cache: { mode: 'off' } })
    const exact = await losses('f32', { teachers: ['cook'], cache: { mode: 'states' } })
    expect(live).not.toContain(undefined)
    expect(furthest(live, exact)).toBeGreaterThan(1e-5)
    for (const mode of ['states', 'exact']) {
      const cached = await losses(mode, { cache: { mode } })
      expect(furthest(live, cached)).toBeLessThan(1e-5)
    }
  })

  it('is refused where its matrices are not ours, and where nothing multiplies so', async () => {
    const { experiments, models, library, queue } = services.rooms
    const out = join(furnished.folder, 'exported')
    await models.export('cook', { format: 'onnx', out })
    await library.importTeacher({ path: join(out, 'model.onnx'), name: 'file', tokenizerPath: 'bpe' })
    const teachers = ['cook', { name: 'file', precision: 'int8' }]
    expect(() => experiments.start({ definition: definition('x', { teachers }) })).toThrow(
      'teachers.1.precision: teacher "file" is an ONNX model, computed as its file says; expected f32, or a model of ours',
    )
    await expect(models.measureInt8(['file'], ['recipes'])).rejects.toThrow('"file" is an ONNX model')
    const { id } = experiments.start({ definition: definition('on-cpu', { backend: 'cpu' }) })
    expect(await queue.finished(id)).toMatchObject({
      status: 'failed',
      reason: 'teachers: the backend cpu has no products in 8 bits; expected precision: f32',
    })
    expect(() =>
      experiments.start({ definition: definition('y', { teachers: [{ name: 'cook', precision: 'int4' }] }) }),
    ).toThrow(/teachers\.0\.precision.*expected/)
  })
})
