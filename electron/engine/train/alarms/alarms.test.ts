import { describe, expect, it } from 'vitest'
import type { EvaluationRecord, StepRecord } from '#contract'
import { memoryMend, tellsOutOfMemory } from '#contract'
import { runConfig } from '../testing'
import { Watch } from '.'
import { collapsedWriting } from './collapsedWriting'
import { divergence } from './divergence'
import { homogeneousTeachers, without } from './homogeneousTeachers'
import { miscalibratedTeacher } from './miscalibratedTeacher'
import { modeCollapse } from './modeCollapse'
import { oscillatingLoss, swing } from './oscillatingLoss'
import type { TeacherFigures } from './teacherFigures'

const stepOf = (step: number, loss: number): StepRecord => ({
  step,
  tokens: step,
  seconds: step,
  loss,
  ce: loss,
  gradNorm: 1,
  learningRate: 0.01,
  tokensPerSecond: 1,
})
const evaluationOf = (step: number, crossEntropy: number, share: number, studentEntropy = 1) =>
  ({
    split: 'held-out',
    step,
    crossEntropy,
    studentEntropy,
    topToken: { share, labels: 0.1 },
  }) as EvaluationRecord

/** Teachers of which only what is given differs. */
const figures = (
  teachers: Partial<TeacherFigures['teachers'][number]>[],
  changes: Partial<TeacherFigures> = {},
): TeacherFigures => ({
  tokens: 2000,
  teachers: teachers.map((t, k) => ({
    id: `id-${k}`,
    name: `teacher ${k}`,
    accuracy: 0.5,
    confidence: 0.5,
    ece: 0.02,
    crossEntropy: 2,
    entropy: 2,
    weight: 1 / teachers.length,
    ...t,
  })),
  divergences: teachers.map((_, i) => teachers.map((__, j) => (i === j ? 0 : 1))),
  weightCorrectness: 0.1,
  ...changes,
})

const TRAIN = { steps: 200, batch: 4, context: 8, warmup: 2, learningRate: 0.01 }

describe('the swing of a loss', () => {
  it('is the amplitude of a wave about its trend, as far as the smoothing lets it through', () => {
    const wave = Array.from({ length: 48 }, (_, i) => 3 - 0.01 * i + 0.5 * Math.sin((2 * Math.PI * i) / 12))
    const { amplitude, crossings } = swing(wave)
    // Gain of a mean of 4 at a period of 12: sin(4 w / 2) / (4 sin(w / 2)).
    const gain = Math.sin(Math.PI / 3) / (4 * Math.sin(Math.PI / 12))
    expect(Math.abs(amplitude / (0.5 * gain) - 1)).toBeLessThan(0.05)
    expect(crossings).toBeGreaterThanOrEqual(6)
    expect(swing(wave.map((_, i) => 3 - 0.01 * i)).amplitude).toBeCloseTo(0)
  })

  it('raises nothing while a loss falls in a curve, nor where one stage follows another', () => {
    const falling = oscillatingLoss(runConfig({ train: TRAIN }))
    for (let i = 1; i <= 200; i++) expect(falling.step!(stepOf(i, 1 + 5 * Math.exp(-i / 20)))).toBeUndefined()
    const config = runConfig({ train: TRAIN, loss: { features: { gamma: 1, first: 0.5 } } })
    const watch = new Watch(config)
    for (let i = 1; i <= 200; i++) expect(watch.step(stepOf(i, i <= 100 ? 0.1 : 6))).toEqual([])
  })

  it('points at the teachers where they disagree, at the learning rate where they do not', () => {
    const raisedBy = (disagreement: number) => {
      const detector = oscillatingLoss(runConfig({ train: TRAIN }))
      const records = Array.from({ length: 60 }, (_, i) => ({
        ...stepOf(i + 1, 2 + Math.sin(i)),
        disagreement,
      }))
      return records.map((record) => detector.step!(record)).find((alarm) => alarm)!.mend
    }
    expect(raisedBy(0.3)).toEqual(['loss.conflict=gate'])
    expect(raisedBy(0.001)).toEqual(['train.learningRate=0.005'])
  })
})

describe('divergence', () => {
  it('is a gradient that is infinite, but not one that only its loss scale makes so', () => {
    const raised = (changes: Partial<StepRecord>) =>
      divergence(runConfig({ train: TRAIN })).step!({ ...stepOf(9, 2), ...changes })?.message
    expect(raised({ gradNorm: 'NaN' })).toMatch(/gradient is not a finite number at step 9/)
    expect(raised({ gradNorm: 'NaN', lossScale: 65536 })).toBeUndefined()
    expect(raised({ gradNorm: 'NaN', lossScale: 1 })).toMatch(/gradient is not a finite number/)
    expect(raised({ loss: 'Infinity', lossScale: 65536 })).toMatch(/loss is not a finite number/)
  })
})

describe('mode collapse', () => {
  it('is one that lasts, after the beginning, and that the run does not learn its way out of', () => {
    const raised = (...records: EvaluationRecord[]) => {
      const detector = modeCollapse(runConfig({ train: TRAIN }))
      return records.map((record) => detector.evaluation!(record)?.step).filter((step) => step !== undefined)
    }
    expect(raised(evaluationOf(80, 3, 0.95), evaluationOf(120, 3, 0.95))).toEqual([120])
    expect(raised(evaluationOf(80, 3, 0.95), evaluationOf(120, 2.8, 0.95))).toEqual([])
    expect(raised(evaluationOf(20, 3, 0.95), evaluationOf(60, 3, 0.95), evaluationOf(80, 3, 0.5))).toEqual([])
    expect(raised(evaluationOf(200, 3, 0.2, 0.99 * Math.log(24)))).toEqual([200])
    // A record of an earlier version has no such figures.
    const { topToken: _, ...old } = evaluationOf(200, 3, 1)
    expect(raised(old as EvaluationRecord)).toEqual([])
  })
})

describe('what the teachers are worth', () => {
  it('is judged by what a teacher is sure of: too sure, or flattened, but not merely unsure', () => {
    const raised = (t: Partial<TeacherFigures['teachers'][number]>) =>
      miscalibratedTeacher(runConfig()).teachers!(figures([t, {}]))?.message
    expect(raised({ ece: 0.2, confidence: 0.7 })).toContain('teacher 0')
    expect(raised({ ece: 0.2, confidence: 0.3 })).toBeUndefined()
    expect(raised({ ece: 0.4, confidence: 0.1 })).toContain('teacher 0')
  })

  it('is wrong where the weight goes to those who are wrong, if the weights follow the entropy', () => {
    const anti = figures([{ weight: 0.9, accuracy: 0.2 }, { weight: 0.1 }], { weightCorrectness: -0.2 })
    const raised = (strategy: string) =>
      miscalibratedTeacher(runConfig({ weighting: { strategy } })).teachers!(anti)
    expect(raised('entropy')).toMatchObject({
      evidence: { correlation: -0.2, weight: 0.9 },
      mend: ['weighting.strategy=calibrated-entropy'],
    })
    expect(raised('uniform')).toBeUndefined()
  })

  it('says which of several that are alike to drop: the one nearest to the others that nothing begins with', () => {
    const near = [
      [0, 0.012, 0.004],
      [0.012, 0, 0.005],
      [0.004, 0.005, 0],
    ]
    const alike = figures([{}, {}, {}], { divergences: near })
    const raised = (changes: Record<string, unknown>) =>
      homogeneousTeachers(runConfig(changes, 3)).teachers!(alike)!.mend
    expect(raised({})).toEqual(['teachers=["teacher 0","teacher 1"]'])
    // Written by id, behind one of another tokenizer that is none of these three.
    expect(raised({ teachers: ['stranger', 'id-0', 'id-1', 'id-2'] })).toEqual([
      'teachers=["stranger","id-0","id-1"]',
    ])
    const student = { width: 16, layers: 2, heads: 2, init: { teacher: 'teacher 2', layers: 'first' } }
    expect(raised({ student })).toEqual(['teachers=["teacher 1","teacher 2"]'])
    expect(homogeneousTeachers(runConfig({}, 3)).teachers!(figures([{}, {}, {}]))).toBeUndefined()
    const { experiment } = runConfig({ weighting: { strategy: 'fixed', weights: [1, 0] } })
    expect(without(experiment, 0)).toEqual(['teachers=["teacher 1"]', 'weighting.strategy=uniform'])
    const routes = { text: 'teacher 1', code: 'teacher 0' }
    const corpus = [{ name: 'text' }, { name: 'code' }]
    const routed = runConfig({ corpus, weighting: { strategy: 'routed', routes } }, 3).experiment
    expect(without(routed, 1)).toEqual([
      'teachers=["teacher 0","teacher 2"]',
      'weighting.routes={"text":"teacher 0","code":"teacher 0"}',
    ])
  })
})

describe('the watch', () => {
  it('raises a signature once, also in a run whose log holds it already', () => {
    const config = runConfig({ train: TRAIN })
    const twins = figures([{}, {}], {
      divergences: [
        [0, 0],
        [0, 0],
      ],
    })
    const watch = new Watch(config)
    expect(watch.teachers(twins).map(({ signature }) => signature)).toEqual(['homogeneous-teachers'])
    expect(watch.teachers(twins)).toEqual([])
    expect(new Watch(config, ['homogeneous-teachers']).teachers(twins)).toEqual([])
  })
})

describe('the mend of a lack of memory', () => {
  it('keeps the effective batch: micro-batches of half the size as long as there are any', () => {
    const mend = (train: object, more: object = {}) =>
      memoryMend(runConfig({ train: { ...TRAIN, ...train }, ...more }).experiment)
    expect(mend({ batch: 12 })).toEqual(['train.accumulate=2'])
    expect(mend({ batch: 12, accumulate: 4 })).toEqual(['train.accumulate=12'])
    expect(mend({ batch: 7 })).toEqual(['train.accumulate=7'])
    expect(mend({ batch: 4, accumulate: 4 })).toEqual(['train.checkpointing=layers', 'cache.mode=exact'])
    expect(mend({ batch: 4, accumulate: 4, checkpointing: 'layers' }, { cache: { mode: 'exact' } })).toEqual(
      [],
    )
  })

  it('is asked for by what the parts of the engine say', () => {
    for (const text of [
      'std::bad_alloc',
      'Failed to allocate memory for requested buffer of size 4294967296',
      'Array buffer allocation failed',
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    ])
      expect(tellsOutOfMemory(text)).toBe(true)
    expect(tellsOutOfMemory('the weights of teacher "cook" have changed')).toBe(false)
  })
})

describe('a student that learns on what it writes', () => {
  const source = { kind: 'student', prompts: { tokens: 2 }, tokens: 4 }
  const watched = (changes: object, steps: number, written: (step: number) => object) => {
    const detector = collapsedWriting(runConfig({ train: { ...TRAIN, source: { ...source, ...changes } } }))
    const figures = { sequences: 4, tokens: 16, length: 4, ended: 0.5, empty: 0, distinct: 1, age: 0, gap: 0 }
    const records = Array.from({ length: steps }, (_, i) => ({
      ...stepOf(i + 1, 2),
      written: { ...figures, ...written(i + 1) },
    }))
    return records.map((record) => detector.step!(record)).filter((alarm) => alarm !== undefined)
  }

  it('is told of when it repeats itself, not as a beginner', () => {
    const alarms = watched({}, 100, (step) => ({ distinct: step > 40 ? 0.2 : 0.9 }))
    // From a third of 200 steps on, ten of them.
    expect(alarms[0]).toMatchObject({
      signature: 'collapsed-writing',
      step: 76,
      mend: ['train.source.kind=mixed'],
    })
    expect(alarms[0]!.message).toContain('20.0 % of the 4-grams')
    expect(alarms[0]!.evidence).toMatchObject({ distinct: expect.closeTo(0.2, 6) as number, empty: 0 })
    expect(watched({}, 200, (step) => ({ distinct: step < 60 ? 0.1 : 0.9 }))).toEqual([])
  })

  it('is told of when it writes nothing, which has no 4-grams', () => {
    const alarms = watched({ kind: 'mixed', share: 0.5 }, 80, () => ({
      empty: 0.9,
      distinct: undefined,
      length: 0,
    }))
    expect(alarms[0]).toMatchObject({ step: 76, mend: ['train.source.share=0.25'] })
    expect(alarms[0]!.message).toContain('90.0 % of what the student wrote is empty')
  })

  it('is not told of where it writes well, or not at all', () => {
    expect(watched({}, 200, () => ({}))).toEqual([])
    expect(collapsedWriting(runConfig())).toEqual({})
  })
})
