import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { layeredModel } from '#contract'
import { startBackend } from '../backend'
import { createTables } from '../model/forward'
import { openLiveTeacher } from '../teachers/live'
// Made by trained.py beside it: torch 2.15, transformers 5.24.
// Made by masked.py beside it.
import masked from './fixtures/masked.json'
import byTorch from './fixtures/trained.json'
import { initialWeights } from './initial'
import { TrainingStep } from './step'
import { Student } from './student'
import { furnishFamily, runConfig } from './testing'

const families = resolve(import.meta.dirname, '../../../../shared/data/families')
const there = existsSync(families)
if (!there) console.warn('SKIPPED: training beside torch needs ../shared/data/families')

const [BATCH, TIME, VOCAB] = [4, 32, 384]
const dataDir = mkdtempSync(join(tmpdir(), 'retort-trained-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
beforeAll(() => startBackend('onnx', { threads: 1 }))

const furnish = (name: string, vocab = VOCAB) => furnishFamily(dataDir, families, name, vocab)

/** The batch that the other side reads too: Lehmer's generator, begun with one of four numbers. */
function batch(step: number) {
  const [inputs, targets] = [new Int32Array(BATCH * TIME), new Int32Array(BATCH * TIME)]
  let seed = (step % 4) + 1
  const next = () => (seed = (seed * 48271) % 2147483647) % VOCAB
  for (let sequence = 0; sequence < BATCH; sequence++) {
    let id = next()
    for (let i = sequence * TIME; i < (sequence + 1) * TIME; i++) {
      inputs[i] = id
      targets[i] = id = next()
    }
  }
  return { inputs, targets }
}

describe.skipIf(!there).each(Object.entries(byTorch))('a student that begins as %s', (name, expected) => {
  it('takes 20 steps towards two teachers as torch does', async () => {
    const own = await furnish(name)
    const rows = await Promise.all(expected.teachers.map((teacher) => furnish(teacher)))
    const student = layeredModel(own)
    const train = { steps: 20, batch: BATCH, context: TIME, warmup: 4, learningRate: 3e-3 }
    const loss = { lambda: 0.5, tau: 2, features: false }
    const layers = Array.from({ length: student.layers }, (_, layer) => layer)
    const config = {
      ...runConfig({ train, loss, student: { from: name }, teachers: expected.teachers }),
      student,
      teachers: rows,
      origin: { id: own.id, name, digest: own.digest, layers },
    }
    const { weights } = await initialWeights(dataDir, config)
    const teachers = await Promise.all(rows.map((row) => openLiveTeacher(dataDir, row, TIME)))
    const trained = new Student(config, undefined, weights)
    const step = new TrainingStep(config, trained, createTables(student, TIME), teachers)
    for (const [i, wanted] of expected.steps.entries()) {
      const { loss, kd, ce, gradNorm } = await step.run(i + 1, batch(i + 1))
      for (const [key, value] of Object.entries({ loss, kd, ce }))
        expect(Math.abs(Number(value) - wanted[key as 'loss']), `${key} of step ${i + 1}`).toBeLessThan(1e-4)
      expect(Number(gradNorm) / wanted.gradNorm).toBeCloseTo(1, 3)
    }
    // It has learned something: there was something to be equal in.
    expect(expected.steps[19]!.loss).toBeLessThan(expected.steps[0]!.loss - 0.1)
  })
})

describe.skipIf(!there).each(Object.entries(masked))('the masked loss of %s', (name, expected) => {
  it('is that of transformers with labels of -100', async () => {
    const own = await furnish(name, expected.vocab)
    const student = layeredModel(own)
    const train = { steps: 1, batch: BATCH, context: TIME, warmup: 1, learningRate: 3e-3 }
    const layers = Array.from({ length: student.layers }, (_, layer) => layer)
    const origin = { id: own.id, name, digest: own.digest, layers }
    const config = { ...runConfig({ train, student: { from: name }, teachers: [] }, 0), student, origin }
    const { weights } = await initialWeights(dataDir, config)
    const step = new TrainingStep(
      config,
      new Student(config, undefined, weights),
      createTables(student, TIME),
      [],
    )
    const { inputs, targets } = batch(0)
    // The same as beside it: divisible by three, of the first row the last ones.
    const mask = Float32Array.from(targets, (id, i) => (id % 3 === 0 && i + 1 >= TIME - 4 ? 1 : 0))
    const plain = await step.run(1, { inputs, targets, mask })
    expect(Math.abs(Number(plain.ce) - expected.loss)).toBeLessThan(1e-5)
    expect(plain.loss).toBe(plain.ce)
  })
})
