import { expect, it } from 'vitest'
import { experiment, parse, type ModelConfig, type Run, type RunConfig } from '#contract'
import { estimateRun, passSeconds, type MeasuredRun } from './estimate'

function model(width: number): ModelConfig {
  const shape = { family: 'llama', vocab: 512, layers: 2, heads: 2, kvHeads: 2, context: 64 } as const
  return { ...shape, width, hidden: width * 3, tied: true, ropeBase: 10_000, normEpsilon: 1e-5 }
}

function configOf(width: number, changes: Record<string, unknown> = {}): RunConfig {
  const student = model(width)
  const definition = {
    name: 'run',
    corpus: 'c',
    student: { width, layers: 2, heads: 2 },
    teachers: ['t'],
    train: { steps: 100, batch: 8, context: 64, warmup: 5 },
    evaluate: { every: 50, tokens: 1000 },
    ...changes,
  }
  const teachers = [{ model: student, parameters: 1 }]
  return {
    experiment: parse(experiment, definition),
    student,
    teachers,
    corpora: [{ weight: 1 }],
  } as unknown as RunConfig
}

interface Taken {
  start: number
  steps: number
  /** Of one. */
  evaluation: number
  /** Of its teachers, into the cache. */
  passes?: number
}

/** A completed run with two evaluations. */
function took(config: RunConfig, { start, steps, evaluation, passes = 0 }: Taken): MeasuredRun {
  const wall = start + steps + 2 * evaluation + passes
  const row = {
    status: 'completed',
    step: config.experiment.train.steps,
    last: { seconds: steps },
    evaluation: { seconds: evaluation },
    teacherOutputs: [{ seconds: passes }],
    autoCache: passes ? 'exact' : 'off',
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: new Date(Date.parse('2026-01-01T00:00:00.000Z') + 1000 * wall).toISOString(),
  }
  return { config, row: row as unknown as Run }
}
const taken = { start: 3, steps: 20, evaluation: 2 }

it('a run like one that was measured takes what that one took, its start and evaluations with it', () => {
  const measured = [took(configOf(32), taken)]
  expect(estimateRun(configOf(32), []).seconds).toBeUndefined()
  expect(estimateRun(configOf(32), measured).seconds).toBeCloseTo(3 + 20 + 2 * 2, 6)
  const longer = configOf(32, { train: { steps: 300, batch: 8, context: 64, warmup: 5 } })
  expect(estimateRun(longer, measured).seconds).toBeCloseTo(3 + 60 + 6 * 2, 6)
  const once = configOf(32, { evaluate: { every: 0, tokens: 500 } })
  expect(estimateRun(once, measured).seconds).toBeCloseTo(3 + 20 + 1, 6)
})

it('what was read from the cache tells the speed of the student alone', () => {
  const measured = [took(configOf(32), { ...taken, passes: 7 })]
  expect(estimateRun(configOf(32), measured, true).seconds).toBeCloseTo(27, 6)
  // A teacher of the student's own size adds a pass to its three, and one to the one of an evaluation.
  expect(estimateRun(configOf(32), measured).seconds).toBeCloseTo(3 + (20 * 4) / 3 + 2 * 4, 6)
  expect(passSeconds(configOf(32), configOf(32).teachers[0]!, measured)).toBeCloseTo(20 / 3, 6)
})

it('runs of about its size speak for it, others only where there are none', () => {
  const near = Array.from({ length: 5 }, () => took(configOf(64), taken))
  const far = Array.from({ length: 9 }, () => took(configOf(16), { start: 1, steps: 19, evaluation: 2 }))
  expect(estimateRun(configOf(64), [...far, ...near]).seconds).toBeCloseTo(27, 6)
  expect(estimateRun(configOf(64), far).seconds).toBeGreaterThan(100)
})

it('a run without teachers speaks for one that has some only where there is none other', () => {
  const alone = configOf(32, { teachers: [] })
  alone.teachers = []
  const plain = Array.from({ length: 9 }, () => took(alone, { ...taken, steps: 5 }))
  const distilled = Array.from({ length: 5 }, () => took(configOf(32), { ...taken, passes: 7 }))
  expect(estimateRun(configOf(32), [...distilled, ...plain], true).seconds).toBeCloseTo(27, 6)
})

it('one that failed or goes on tells no start', () => {
  const measured = [took(configOf(32), taken)]
  measured[0]!.row.status = 'failed'
  expect(estimateRun(configOf(32), measured).seconds).toBeCloseTo(24, 6)
})

it('a teacher behind a server is asked for every sequence with a token behind it, at most', () => {
  const config = configOf(32)
  expect(estimateRun(config, []).askedTokens).toBeUndefined()
  const limits = { concurrency: 4, timeout: 1 }
  const model = { family: 'served', vocab: 512, k: 20, limits }
  const server = { id: 's', name: 'far', model, parameters: 0 }
  const served = { ...config, teachers: [server] } as unknown as RunConfig
  // 100 batches of 8; windows that move by 32 tokens: 64 of the 2,048 that teachers are looked at on, 32 of 1,000.
  expect(estimateRun(served, []).askedTokens).toBe((800 + 64 + 32) * 65)
  const tokens = (800 + 64 + 32) * 65
  const more = (change: object, row: object = {}) => {
    const teacher = { ...server, model: { ...model, limits: { ...limits, ...change } }, ...row }
    return { ...config, teachers: [teacher] } as unknown as RunConfig
  }
  // At the import it answered so fast; a run has told better.
  const check = { served: { k: 20, covered: 1, tokensPerSecond: 1000 } }
  expect(estimateRun(more({}), []).askedSeconds).toBeUndefined()
  expect(estimateRun(more({}, { check }), []).askedSeconds).toBeCloseTo(tokens / 1000, 9)
  const run = took(configOf(32), taken)
  run.row.teachers = [{ id: 's', name: 'far' }]
  run.row.servers = [{ teacher: 'far', tokens: 9, answers: 3, retries: 0, tokensPerSecond: 4000 }]
  expect(estimateRun(more({}, { check }), [run]).askedSeconds).toBeCloseTo(tokens / 4000, 9)
  expect(estimateRun(more({ perMinute: 60 }, { check }), []).askedSeconds).toBe(896)
  expect(estimateRun(more({ price: 2 }), [])).toMatchObject({ askedCost: (2 * tokens) / 1e6 })
  expect(estimateRun(more({ price: 2, cost: 0.2 }), []).askedBound).toBeUndefined()
  expect(estimateRun(more({ price: 2, cost: 0.1 }), []).askedBound).toMatch('asked for 50000 tokens a run')
  expect(estimateRun(more({ tokens: 999 }), []).askedBound).toMatch('"far" may be asked for 999 tokens')
  // Nothing of it is computed here.
  expect(estimateRun(served, []).flopsPerStep).toBe(estimateRun({ ...config, teachers: [] }, []).flopsPerStep)
})
