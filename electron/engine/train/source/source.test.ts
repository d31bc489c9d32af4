import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { layeredModel, trainSource, writtenAt } from '#contract'
import { startBackend } from '../../backend'
import { createTables } from '../../model/forward'
import { openLiveTeacher } from '../../teachers/live'
// Made by written.py beside it: torch 2.15, transformers 5.24.
import byTorch from '../fixtures/written.json'
import { initialWeights } from '../initial'
import { TrainingStep } from '../step'
import { Student } from '../student'
import { furnishFamily, runConfig } from '../testing'
import { distinctOf, writtenFigures, type Written } from './figures'
import { drawPrompts, type PromptSource } from './prompts'
import { withWritten } from './withWritten'

const families = resolve(import.meta.dirname, '../../../../../shared/data/families')
const there = existsSync(families)
if (!there) console.warn('SKIPPED: written batches beside torch need ../shared/data/families')

const [BATCH, TIME, VOCAB] = [4, 32, 384]
const dataDir = mkdtempSync(join(tmpdir(), 'retort-written-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
beforeAll(() => startBackend('onnx', { threads: 1 }))

function numbers(seed: number, count: number): number[] {
  return Array.from({ length: count }, () => (seed = (seed * 48271) % 2147483647) % VOCAB)
}

const one = (prompt: number[], ids: number[], changes: Partial<Written> = {}): Written => ({
  prompt,
  ids,
  ended: false,
  logProbability: -1,
  step: 1,
  corpus: 0,
  start: 0,
  ...changes,
})

/** Prompts and written tokens of each row, as on the other side. */
const ROWS = [
  [5, 12],
  [1, 31],
  [9, 1],
  [20, 13],
] as const

/** The batch that the other side makes too. */
function batchOf(step: number, count: number) {
  const rows = ROWS.map((_, row) => numbers(10 * step + row + 1, TIME + 1))
  const corpus = {
    inputs: Int32Array.from(rows.flatMap((ids) => ids.slice(0, -1))),
    targets: Int32Array.from(rows.flatMap((ids) => ids.slice(1))),
    corpora: new Int32Array(BATCH),
    starts: new Int32Array(BATCH),
  }
  const written = rows.map((ids, row) => {
    const [prompt, tokens] = ROWS[row]!
    return one(ids.slice(0, prompt), ids.slice(prompt, prompt + tokens))
  })
  return withWritten(corpus, written.slice(BATCH - count), { batch: BATCH, context: TIME })
}

describe.skipIf(!there)('a student that begins as qwen3', () => {
  const furnish = (name: string) => furnishFamily(dataDir, families, name, VOCAB)

  it.each(byTorch)(
    'learns by $objective as torch does where it wrote $written of 4',
    async ({ objective, written, steps }) => {
      const [own, ...rows] = await Promise.all(['qwen3', 'qwen2', 'llama3'].map(furnish))
      const student = layeredModel(own!)
      const train = { steps: 3, batch: BATCH, context: TIME, warmup: 1, learningRate: 3e-3 }
      const loss = { objective, lambda: 0.6, tau: 1.5, beta: 0.3, skew: 0.2, topK: 8, features: false }
      const layers = Array.from({ length: student.layers }, (_, layer) => layer)
      const config = {
        ...runConfig({ train, loss, student: { from: 'qwen3' }, teachers: rows.map(({ name }) => name) }),
        student,
        teachers: rows,
        origin: { id: own!.id, name: own!.name, digest: own!.digest, layers },
      }
      const { weights } = await initialWeights(dataDir, config)
      const teachers = await Promise.all(rows.map((row) => openLiveTeacher(dataDir, row, TIME)))
      const trained = new Student(config, undefined, weights)
      const step = new TrainingStep(config, trained, createTables(student, TIME), teachers)
      for (const [i, wanted] of steps.entries()) {
        const { loss, kd, ce, gradNorm, writtenLoss } = await step.run(i + 1, batchOf(i + 1, written))
        const figures = { loss, kd, ce, written: writtenLoss }
        for (const [key, value] of Object.entries(figures)) {
          const expected: number | undefined = wanted[key as 'loss']
          if (expected === undefined) expect(value, key).toBeUndefined()
          else expect(Math.abs(Number(value) - expected), `${key} of step ${i + 1}`).toBeLessThan(1e-5)
        }
        expect(Math.abs(Number(gradNorm) / wanted.gradNorm - 1)).toBeLessThan(1e-5)
      }
    },
  )
})

describe('a batch with written sequences', () => {
  it('has them last, filled up with what does not count', () => {
    const corpus = {
      inputs: Int32Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
      targets: Int32Array.from([2, 3, 4, 5, 6, 7, 8, 9]),
      mask: Float32Array.from([0, 1, 1, 0, 1, 1, 1, 1]),
      corpora: Int32Array.from([1, 1]),
      starts: Int32Array.from([30, 40]),
    }
    const before = structuredClone(corpus)
    const batch = withWritten(corpus, [one([20, 21], [22], { corpus: 2, start: 9 })], {
      batch: 2,
      context: 4,
    })
    expect([...batch.inputs]).toEqual([1, 2, 3, 4, 20, 21, 0, 0])
    expect([...batch.targets]).toEqual([2, 3, 4, 5, 21, 22, 0, 0])
    expect([...batch.apart!.labels]).toEqual([0, 1, 1, 0, 0, 0, 0, 0])
    expect([...batch.apart!.written]).toEqual([0, 0, 0, 0, 0, 1, 0, 0])
    expect([...batch.mask!]).toEqual([0, 1, 1, 0, 0, 1, 0, 0])
    expect([...batch.corpora!, ...batch.starts!]).toEqual([1, 2, 30, 9])
    expect(corpus).toEqual(before)
  })

  it.each([0.1, 0.25, 0.5, 0.77])('keeps a share of %s over the steps', (share) => {
    for (const batch of [1, 3, 8]) {
      const train = { source: trainSource.parse({ kind: 'mixed', share }), batch }
      const counts = Array.from({ length: 400 }, (_, i) => writtenAt(train, i + 1))
      const sum = counts.reduce((a, b) => a + b, 0)
      expect(Math.abs(sum - share * batch * 400)).toBeLessThanOrEqual(0.5)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(share * batch))
    }
  })
})

describe('what is told of writings', () => {
  it('is counted by hand', () => {
    // 4-grams: 1234 2341 3412 4123 1234, of which four are different.
    expect(distinctOf([1, 2, 3, 4, 1, 2, 3, 4])).toBe(4 / 5)
    expect(distinctOf([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])).toBe(1 / 8)
    expect(distinctOf([1, 2, 3])).toBeUndefined()
    const written = [
      one([5], [1, 2, 3, 4, 1, 2, 3, 4, 0], { ended: true, logProbability: -2, step: 7 }),
      one([5], [0], { ended: true, logProbability: -0.5, step: 5 }),
      one([5], [9, 9], { logProbability: -1, step: 9 }),
    ]
    // Before: (9 * -2 + 1 * -0.5 + 2 * -1) / 12; now -3.
    expect(writtenFigures(written, 9, 3)).toEqual({
      sequences: 3,
      tokens: 12,
      length: (8 + 0 + 2) / 3,
      ended: 2 / 3,
      empty: 1 / 3,
      distinct: 4 / 5,
      age: (2 + 4 + 0) / 3,
      gap: 3 - 20.5 / 12,
    })
  })
})

describe('prompts', () => {
  const source = (corpus: number, weight: number, places: number[]): PromptSource => ({
    corpus,
    weight,
    ids: Int32Array.from({ length: 100 }, (_, i) => 1000 * corpus + i),
    places: Int32Array.from(places),
    ends: [],
  })

  it('are drawn by the weights of their corpora, the same for the same step', () => {
    const sources = [source(0, 1, [0, 3, 10, 14]), source(2, 3, [50, 52])]
    const drawn = drawPrompts(sources, 7, 3, 4000)
    expect(drawPrompts(sources, 7, 3, 4000)).toEqual(drawn)
    expect(drawPrompts(sources, 7, 4, 4000)).not.toEqual(drawn)
    const from = (corpus: number) => drawn.filter((prompt) => prompt.corpus === corpus)
    expect(from(2).length / 4000).toBeCloseTo(0.75, 1)
    for (const { ids, start } of from(2)) expect([start, ...ids]).toEqual([50, 2050, 2051])
    expect(new Set(from(0).map(({ ids }) => ids.join(' ')))).toEqual(new Set(['0 1 2', '10 11 12 13']))
  })
})
