import { describe, expect, it } from 'vitest'
import { experiment, objectives, parse, type Teacher } from '#contract'
import { resolveExperiment } from './resolve'
import { corpus, smallTeacher, tokenizer } from './testing'

const library = {
  corpora: [corpus, { ...corpus, id: 'sums', name: 'sums' }],
  tokenizers: [tokenizer('bpe', 'a')],
  teachers: [smallTeacher('cook', 'bpe'), smallTeacher('baker', 'bpe')],
  runs: [],
  dataDir: '/nowhere',
}

function resolve(changes: Record<string, unknown> = {}, rows = library) {
  const definition = {
    name: 'e',
    corpus: 'recipes',
    student: { width: 8, layers: 1, heads: 1, context: 16 },
    teachers: ['cook', 'baker'],
    ...changes,
  }
  return resolveExperiment(parse(experiment, definition), rows, 'e.yaml')
}

describe('routes', () => {
  const corpora = [{ name: 'recipes' }, { name: 'sums' }]
  const routed =
    (routes: object | undefined, changes: object = {}) =>
    () =>
      resolve({ corpus: corpora, weighting: { strategy: 'routed', routes }, ...changes })
  const both = { recipes: 'cook', sums: 'baker' }

  it('lead from every corpus to a teacher, which may have several or none', () => {
    expect(routed(both)().method).toBe('routed')
    expect(routed({ recipes: 'cook', sums: 'cook' })).not.toThrow()
    // Of other strategies they are kept for a grid, unread.
    expect(resolve({ weighting: { strategy: 'entropy', routes: { plays: 'nobody' } } }).method).toBe(
      'entropy',
    )
  })

  it.each([
    ['none', undefined, 'weighting.routes: the strategy "routed" needs a teacher for each corpus'],
    ['no corpus', {}, 'weighting.routes: the strategy "routed" needs a teacher for each corpus'],
    ['too few', { recipes: 'cook' }, 'corpus "sums" is routed to no teacher; expected sums: cook or baker'],
    ['a stranger', { ...both, sums: 'bakr' }, 'weighting.routes.sums: no teacher "bakr" in this experiment'],
    ['one too many', { ...both, plays: 'cook' }, 'weighting.routes.plays: no corpus "plays"'],
  ])('%s is refused', (_, routes, message) => {
    expect(routed(routes)).toThrow(message)
  })

  it('leave nothing to settle between teachers', () => {
    expect(routed(both, { loss: { conflict: 'gate' } })).toThrow(/loss\.conflict: .*; expected none/)
  })
})

describe('objectives', () => {
  it('go with sampled outputs of teachers where they are linear in them', () => {
    const of = (objective: string, mode: string) => () => resolve({ loss: { objective }, cache: { mode } })
    for (const objective of objectives) {
      expect(of(objective, 'top-k')).not.toThrow()
      if (['forward-kl', 'top-k'].includes(objective)) expect(of(objective, 'sample')).not.toThrow()
      else {
        expect(of(objective, 'sample')).toThrow(
          'e.yaml: cache.mode: sampled teacher outputs cannot go with loss.objective as it is',
        )
      }
    }
  })

  it('mix no side to nothing', () => {
    const skewed = (skew: number) => () => resolve({ loss: { objective: 'skewed-kl', skew } })
    expect(skewed(0.1)().method).toBe('skewed-kl')
    for (const skew of [0, 1, -1]) expect(skewed(skew)).toThrow(/loss\.skew/)
  })
})

describe('a source of text that its student writes', () => {
  const writing = { kind: 'mixed', prompts: { tokens: 8 }, tokens: 32 }
  const train = (changes: object) => ({ context: 64, batch: 4, source: { ...writing, ...changes } })
  const student = { width: 8, layers: 1, heads: 1, context: 64 }

  it('is taken where it can be written and taught', () => {
    const { experiment } = resolve({ student, train: train({}) })
    expect(experiment.train.source).toEqual({
      ...{ kind: 'mixed', share: 0.5, prompts: { tokens: 8 }, tokens: 32 },
      ...{ temperature: 1, topP: 1, every: 1, buffer: 0 },
    })
    expect(resolve({}).experiment.train.source.kind).toBe('corpus')
  })

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'without teachers',
      { teachers: [], tokenizer: 'bpe' },
      /^e\.yaml: train\.source\.kind: .* learns from teachers alone; expected corpus; or teachers/,
    ],
    [
      'with a lambda of 0',
      { loss: { lambda: 0, features: false } },
      /^e\.yaml: train\.source\.kind: .*loss\.lambda above 0$/,
    ],
    [
      'with more to be written than there is room for',
      { train: train({ tokens: 64 }) },
      /^e\.yaml: train\.source\.tokens: 64 written .*; expected at most 63$/,
    ],
    [
      'with prompts that are too long beside it',
      { train: train({ prompts: { tokens: 33 } }) },
      /^e\.yaml: train\.source\.prompts\.tokens: .*; expected at most 32$/,
    ],
    [
      'with prompts of a corpus that is none of the mixture',
      { train: train({ prompts: { corpus: 'sums' } }) },
      /^e\.yaml: train\.source\.prompts\.corpus: "sums" is none of the corpora; expected recipes$/,
    ],
    [
      'with a buffer that no step can be filled from',
      { train: train({ buffer: 1 }) },
      /^e\.yaml: train\.source\.buffer: .*expected 0, or at least 2$/,
    ],
    [
      "with its teachers' outputs kept beforehand",
      { cache: { mode: 'exact' } },
      /^e\.yaml: cache\.mode: .*expected auto or off$/,
    ],
    [
      'with a share of all',
      { train: train({ share: 1 }) },
      /^train\.source\.share: is too big; expected less than 1$/,
    ],
    [
      'with a misspelt key',
      { train: train({ topp: 0.9 }) },
      /^train\.source\.topp: unknown key; expected "topP"$/,
    ],
  ])('is refused %s', (_, changes, message) => {
    expect(() => resolve({ student, train: train({}), ...changes })).toThrow(message)
  })
})

describe('packed documents', () => {
  const packed = [{ name: 'sums' }, { name: 'recipes', packing: 'packed' }]

  it('are read by teachers that can keep them apart', () => {
    const { corpora } = resolve({ corpus: packed })
    expect(corpora.map(({ reading }) => reading?.packing)).toEqual([undefined, 'packed'])
  })

  it.each([
    ['is an ONNX file', { family: 'onnx', vocab: 300 }],
    ['is behind a server', { family: 'served', vocab: 300 }],
  ])('are refused with one that %s', (what, model) => {
    const other = { ...smallTeacher('baker', 'bpe'), model } as unknown as Teacher
    const teachers = [library.teachers[0]!, other]
    const read = (corpora: object[]) => () =>
      resolve({ corpus: corpora, loss: { features: false } }, { ...library, teachers })
    expect(read(packed)).toThrow(
      `e.yaml: corpus.1.packing: teacher "baker" ${what}, which cannot keep packed documents apart; expected documents`,
    )
    expect(read([{ name: 'recipes', packing: 'documents' }])).not.toThrow()
  })
})
