import { describe, expect, it } from 'vitest'
import { waysIn, type Progress } from './ways'

const nothing: Progress = { corpora: [], tokenizers: [], teachers: [], experiments: [], runs: [] }
/** The next step of each way. */
const next = (progress: Partial<Progress>) =>
  waysIn({ ...nothing, ...progress }).map(({ steps }) => steps.find(({ done }) => !done)?.label)

describe('the ways in', () => {
  it('lead from nothing to a run, each by its own first steps', () => {
    const corpora = [{ id: 'c' }]
    const lossless = [{ lossless: true }]
    const teachers = [{ id: 't' }]
    const own = [{ id: 'mine', builtIn: false }]
    const run = { kind: 'student', status: 'completed', experiment: 'mine' } as const
    expect(next({})).toEqual(['Import text', 'Import a teacher'])
    expect(next({ corpora })).toEqual(['Train a tokenizer', 'Import a teacher'])
    expect(next({ corpora, tokenizers: [{ lossless: false }] })).toEqual([
      'Train a tokenizer',
      'Import a teacher',
    ])
    expect(next({ corpora, tokenizers: lossless })).toEqual(['Train a teacher', 'Import a teacher'])
    expect(next({ tokenizers: lossless, teachers })).toEqual(['Import text', 'Import text'])
    const library = { corpora, tokenizers: lossless, teachers }
    expect(next(library)).toEqual(['Make an experiment', 'Make an experiment'])
    expect(next({ ...library, experiments: own })).toEqual(['Run it', 'Run it'])
    expect(next({ ...library, experiments: own, runs: [run] })).toEqual([undefined, undefined])
  })

  it('do not take the demo’s experiments and teachers’ runs for one’s own', () => {
    const demo = [{ id: 'demo', builtIn: true }]
    const of = (kind: 'student' | 'teacher', experiment?: string) =>
      ({ kind, status: 'completed', experiment }) as const
    const done = (progress: Partial<Progress>) =>
      waysIn({ ...nothing, ...progress })[0]!
        .steps.slice(-2)
        .map((step) => step.done)
    expect(done({ experiments: demo, runs: [of('student', 'demo')] })).toEqual([false, false])
    const mine = [...demo, { id: 'mine', builtIn: false }]
    expect(done({ experiments: mine, runs: [of('student', 'demo'), of('teacher', 'mine')] })).toEqual([
      true,
      false,
    ])
  })

  it('lead to the newest experiment of one’s own', () => {
    const experiments = ['a', 'b'].map((id) => ({ id, builtIn: false }))
    expect(waysIn({ ...nothing, experiments })[1]!.steps.at(-1)!.to).toEqual({ path: '/experiments/b' })
  })
})
