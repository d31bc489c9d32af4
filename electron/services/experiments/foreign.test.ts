import { describe, expect, it } from 'vitest'
import { experiment, parse } from '#contract'
import { resolveExperiment } from './resolve'
import { corpus, smallTeacher as teacher, tokenizer } from './testing'

const library = {
  corpora: [corpus],
  // "twin" is the same file as "bpe" under another id.
  tokenizers: [
    tokenizer('bpe', 'a'),
    tokenizer('twin', 'a'),
    tokenizer('other', 'b'),
    tokenizer('lossy', 'c', false),
    { ...tokenizer('respelt', 'd'), pieces: 'f'.repeat(64) },
    { ...tokenizer('reordered', 'e'), pieces: 'f'.repeat(64) },
  ],
  teachers: [
    teacher('cook', 'bpe'),
    teacher('double', 'twin'),
    teacher('baker', 'other'),
    teacher('deaf', 'lossy'),
    teacher('copied', 'respelt'),
    teacher('saved', 'reordered'),
  ],
  runs: [],
  dataDir: '/nowhere',
}

function resolve(changes: Record<string, unknown> = {}) {
  const definition = {
    name: 'e',
    corpus: 'recipes',
    tokenizer: 'bpe',
    student: { width: 8, layers: 1, heads: 1, context: 16 },
    teachers: ['cook', 'baker'],
    ...changes,
  }
  return resolveExperiment(parse(experiment, definition), library, 'e.yaml')
}

describe('teachers of other tokenizers', () => {
  it('are told from those with the student’s by the tokenizer’s content', () => {
    const config = resolve({ teachers: ['baker', 'cook', 'double'] })
    expect(config.teachers.map(({ name }) => name)).toEqual(['cook', 'double'])
    expect(config.foreign).toMatchObject([{ row: { name: 'baker' }, tokenizer: { name: 'other' }, place: 0 }])
    expect(config.tokenizer.name).toBe('bpe')
    expect(resolve({ teachers: ['cook', 'double'] })).not.toHaveProperty('foreign')
    expect(resolve({ tokenizer: 'other' }).foreign).toMatchObject([{ row: { name: 'cook' } }])
  })

  it('are not those whose ids stand for the same bytes, however the file is written', () => {
    const config = resolve({ tokenizer: 'respelt', teachers: ['saved', 'copied', 'cook'] })
    expect(config.teachers.map(({ name }) => name)).toEqual(['saved', 'copied'])
    expect(config.foreign).toMatchObject([{ row: { name: 'cook' } }])
    expect(resolve({ tokenizer: undefined, teachers: ['copied', 'saved'] }).tokenizer.name).toBe('respelt')
  })

  it('need the student’s tokenizer named; teachers that agree do not', () => {
    const disagree = () => resolve({ tokenizer: undefined })
    expect(disagree).toThrow(
      "e.yaml: tokenizer: the teachers have different tokenizers; the student's must be named; expected bpe, other",
    )
    expect(resolve({ tokenizer: undefined, teachers: ['cook', 'double'] }).tokenizer.digest).toBe(
      'a'.repeat(64),
    )
  })

  const alone = { teachers: ['baker'] }
  it.each([
    ['teachers.1', { teachers: ['cook', 'deaf'] }, 'text does not survive tokenizer "lossy"'],
    ['tokenizer', { tokenizer: 'lossy' }, 'text does not survive tokenizer "lossy"'],
    ['loss.objective', { loss: { objective: 'reverse-kl' } }, '"reverse-kl" needs one vocabulary'],
    ['loss.objective', { loss: { objective: 'top-k' } }, '"top-k" needs one vocabulary'],
    ['loss.conflict', { loss: { conflict: 'gate' } }, '"gate" compares teachers'],
    ['loss.conflict', { loss: { conflict: 'drop' } }, '"drop" compares teachers'],
    ['weighting.fusion', { weighting: { fusion: 'geometric' } }, 'a geometric mean needs one vocabulary'],
    [
      'weighting.strategy',
      { weighting: { strategy: 'kl-to-consensus' } },
      'compares teachers token by token',
    ],
    ['weighting.strategy', { weighting: { strategy: 'label-confidence' } }, 'compares teachers'],
    ['weighting.strategy', { weighting: { strategy: 'oracle' } }, 'compares teachers'],
    ['loss.features', alone, 'its hidden states are of other tokens'],
    [
      'cache.mode',
      { ...alone, loss: { features: false }, cache: { mode: 'exact' } },
      'its outputs are not cached',
    ],
    [
      'student.init.teacher',
      { student: { width: 8, layers: 1, heads: 1, init: { teacher: 'baker' } } },
      'has another',
    ],
    ['weighting.weights', { weighting: { strategy: 'fixed', weights: [0, 1] } }, '(cook) are all 0'],
  ])('refuse %s where it has no meaning: %j', (field, changes, why) => {
    const attempt = () => resolve(changes)
    expect(attempt).toThrow(why)
    expect(attempt).toThrow(`e.yaml: ${field}: `)
    expect(attempt).toThrow('; expected ')
  })

  it('go with everything else', () => {
    const routed = { strategy: 'routed', routes: { recipes: 'cook' } }
    expect(() => resolve({ weighting: routed })).toThrow(
      /weighting\.strategy: teacher "baker" has another tokenizer/,
    )
    for (const strategy of ['uniform', 'entropy', 'inverse-entropy', 'calibrated-entropy', 'random'])
      expect(resolve({ weighting: { strategy } }).foreign).toHaveLength(1)
    expect(resolve({ weighting: { strategy: 'fixed', weights: [1, 0] } }).foreign).toHaveLength(1)
    expect(resolve({ cache: { mode: 'exact' } }).foreign).toHaveLength(1)
    const uld = resolve({ ...alone, loss: { features: false, foreign: { compare: 'uld' } } })
    expect(uld.experiment.loss.foreign).toEqual({ compare: 'uld', weight: 1 })
    expect(() => resolve({ loss: { foreign: { compare: 'span' } } })).toThrow(/loss\.foreign\.compare/)
  })
})
