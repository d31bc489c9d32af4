import { beforeAll, describe, expect, it } from 'vitest'
import { experiment, parse, tableMethods, weightingStrategies, type RunConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables } from '../model/forward'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, losses, model, runConfig, teacherSource } from './testing'

/** The method's invariants, on real training steps. */

const off = { tau: 2, lambda: 0.7, features: false as const }
/** What some strategies ask for. */
const given = (teachers: number) => ({
  weights: Array.from({ length: teachers }, (_, k) => k + 1),
  routes: { text: 'teacher 0' },
})

function expectNear(actual: (number | null)[], expected: (number | null)[], tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i]! - value!)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value!)))
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe('on real steps', () => {
  it('with one teacher every weighting is plain distillation from it', async () => {
    const plain = await losses(runConfig({ weighting: { strategy: 'uniform' }, loss: off }, 1), 3)
    for (const strategy of weightingStrategies) {
      const weighting = { strategy, ...given(1) }
      expectNear(await losses(runConfig({ weighting, loss: off }, 1), 3), plain, 1e-6)
    }
  })

  it('with copies of one teacher every weighting gives the loss of that teacher', async () => {
    const one = await losses(runConfig({ weighting: { strategy: 'uniform' }, loss: off }, 1), 3)
    for (const strategy of weightingStrategies) {
      const weighting = { strategy, ...given(3) }
      const copies = await losses(runConfig({ weighting, loss: off }, 3), 3, [100, 100, 100])
      expectNear(copies, one, 2e-6)
    }
  })

  it('the order of the teachers changes nothing beyond rounding', async () => {
    // Drawn weights belong to places, given ones are reordered with their teachers.
    for (const strategy of weightingStrategies.filter((name) => name !== 'random')) {
      const run = (seeds: number[], weights: number[]) => {
        const routes = { text: `teacher ${weights.indexOf(3)}` }
        const weighting = { strategy, weights, routes }
        return losses(runConfig({ weighting, loss: off }, 3), 2, seeds)
      }
      expectNear(await run([102, 100, 101], [3, 1, 2]), await run([100, 101, 102], [1, 2, 3]), 3e-6)
    }
  })

  it('lambda 0 is cross-entropy under every objective and conflict', async () => {
    const ce = await losses(runConfig({ loss: { lambda: 0, features: false } }, 0), 2)
    for (const loss of [{ objective: 'reverse-kl' }, { objective: 'jsd' }, { conflict: 'gate' }]) {
      const config = runConfig({ loss: { lambda: 0, features: { gamma: 1e-12 }, ...loss } })
      expectNear(await losses(config, 2), ce, 1e-5)
    }
  })

  it('random weights are a function of seed and step, also across micro-batches', async () => {
    const train = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }
    const run = (changes: object) =>
      losses(runConfig({ weighting: { strategy: 'random' }, loss: off, train, ...changes }), 2)
    const once = await run({})
    expect(await run({})).toEqual(once)
    expectNear(await run({ train: { ...train, accumulate: 2 } }), once, 1e-5)
  })

  it('a routed row learns from its corpus’ teacher alone', async () => {
    const corpus = [{ name: 'text' }, { name: 'code' }]
    const routed = (routes: Record<string, string>) =>
      runConfig({ corpus, weighting: { strategy: 'routed', routes }, loss: off })
    const of = (config: RunConfig, rows: number[], seeds?: number[]) =>
      losses(config, 2, seeds, Int32Array.from(rows))
    const apart = routed({ text: 'teacher 0', code: 'teacher 1' })
    for (const [place, name] of [
      [0, 'teacher 0'],
      [1, 'teacher 1'],
    ] as const) {
      const all = routed({ text: name, code: name })
      expect(await of(apart, [place, place, place, place])).toEqual(await of(all, [0, 1, 0, 1]))
      const alone = await losses(runConfig({ weighting: { strategy: 'uniform' }, loss: off }, 1), 2, [
        100 + place,
      ])
      expectNear(await of(apart, [place, place, place, place]), alone, 1e-6)
    }
    const mixed = await of(apart, [0, 1, 1, 0])
    expect(mixed).not.toEqual(await of(apart, [1, 0, 0, 1]))
    const parts = routed({ text: 'teacher 0', code: 'teacher 1' })
    parts.experiment.train.accumulate = 2
    expectNear(await of(parts, [0, 1, 1, 0]), mixed, 1e-5)
  })

  it('a routed teacher is asked for its own sequences alone, and its entropy is of those', async () => {
    const routes = { text: 'teacher 0', code: 'teacher 1', talk: 'teacher 1' }
    const corpus = Object.keys(routes).map((name) => ({ name }))
    const config = runConfig({ corpus, weighting: { strategy: 'routed', routes }, loss: off }, 3)
    const rows: number[][] = []
    const teachers = [0, 1, 2].map((k) => {
      const source = teacherSource(config, k, 100 + k, 20)
      const signal: typeof source.signal = (tokens, options) => {
        ;(rows[k] ??= []).push(tokens.shape[0])
        return source.signal(tokens, options)
      }
      return { ...source, signal }
    })
    const step = new TrainingStep(config, new Student(config), createTables(model, 8), teachers)
    const read = batch(1)
    const { alpha, teacherEntropy } = await step.run(1, { ...read, corpora: Int32Array.of(1, 0, 2, 1) })
    // Three sequences as two and one.
    expect(rows).toEqual([[1], [2, 1]])
    expect(alpha).toEqual([0.25, 0.75, 0])
    const entropyOf = async (k: number, sequences: number[]) => {
      const mean = tf.tidy(() => {
        const logits = teachers[k]!.signal(tf.tensor2d(read.inputs, [4, 8], 'int32')).logits
        const p = tf.softmax(tf.div(logits, off.tau))
        const each = tf.neg(tf.sum(tf.mul(p, tf.log(p)), -1)).reshape([4, 8])
        return tf.mean(tf.gather(each, sequences))
      })
      return (await mean.data())[0]!
    }
    expect(teacherEntropy![0]).toBeCloseTo(await entropyOf(0, [1]), 5)
    expect(teacherEntropy![1]).toBeCloseTo(await entropyOf(1, [0, 2, 3]), 5)
    expect(teacherEntropy![2]).toBe('NaN')
    for (const teacher of teachers) teacher.dispose()
  })

  it('every method of the table learns', async () => {
    for (const method of tableMethods) {
      const config = runConfig({
        method,
        weighting: given(2),
        train: { steps: 12, batch: 4, context: 8, warmup: 1, learningRate: 0.01 },
      })
      const path = await losses(
        config,
        12,
        config.experiment.teachers.map((_, k) => 100 + k),
      )
      expect(path.every((loss) => loss !== null)).toBe(true)
      // TinyBERT's two stages have losses of their own.
      const [from, to] = method === 'tinybert' ? [0, 5] : [0, 11]
      expect(path[to]!, method).toBeLessThan(path[from]!)
    }
  })
})

describe('a method of the table', () => {
  const base = { name: 'a', corpus: 'c', student: { width: 16, layers: 2, heads: 2 }, teachers: ['x', 'y'] }

  it('fixes what defines it and leaves the rest; applying it again changes nothing', () => {
    const loss = { lambda: 0.3, tau: 4, features: { gamma: 0.2 } }
    const tiny = parse(experiment, { ...base, method: 'tinybert', loss })
    expect(tiny.loss).toMatchObject({ lambda: 1, tau: 4 })
    expect(tiny.loss.features).toMatchObject({ gamma: 0.2, embedding: true, attention: 'mse', first: 0.5 })
    expect(parse(experiment, tiny)).toEqual(tiny)
    const single = parse(experiment, { ...base, method: 'single-teacher', loss })
    expect(single.teachers).toEqual(['x'])
    expect(single.loss).toMatchObject({ lambda: 0.3, features: false })
    expect(() => parse(experiment, { ...base, method: 'tinybart' })).toThrow(/^method: /)
    expect(() => parse(experiment, { ...base, los: {} })).toThrow('expected "loss"')
  })

  it('of the field learns on what the student writes, from all teachers or from one a corpus', () => {
    const of = (method: string, changes: object = {}) => parse(experiment, { ...base, method, ...changes })
    const source = { tokens: 9, prompts: { tokens: 3 } }
    const gkd = of('gkd', { train: { source } })
    expect(gkd.train.source).toMatchObject({ kind: 'mixed', share: 0.5, tokens: 9, prompts: { tokens: 3 } })
    expect(gkd.loss).toMatchObject({ objective: 'jsd', lambda: 1, features: false })
    const weighting = { routes: { c: 'y' } }
    for (const [method, strategy] of [
      ['opd', 'uniform'],
      ['mopd', 'routed'],
      ['entropy-opd', 'entropy'],
    ] as const) {
      const made = of(method, { weighting })
      expect(made.train.source.kind).toBe('student')
      expect(made.loss).toMatchObject({ objective: 'reverse-kl', lambda: 1, features: false })
      expect(made.weighting).toMatchObject({ strategy, routes: { c: 'y' } })
      expect(parse(experiment, made)).toEqual(made)
    }
    expect(() => of('mopd')).toThrow(
      'weighting.routes: the strategy "routed" needs a teacher for each corpus',
    )
    // There is nothing to learn from without teachers in what a student writes.
    expect(of('cross-entropy', { train: { source: { kind: 'student' } } }).train.source.kind).toBe('corpus')
  })

  it('without one leaves a definition alone', () => {
    expect(parse(experiment, { ...base, loss: { features: false } }).loss.features).toBe(false)
  })
})
