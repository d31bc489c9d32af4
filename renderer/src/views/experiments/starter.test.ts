import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import {
  experiment,
  teacherDefinition,
  type Corpus,
  type ModelConfig,
  type RunRow,
  type Teacher,
  type Tokenizer,
} from '#contract'
import { starter, teacherStarter, type StarterLibrary } from './starter'

const day = (n: number) => `2026-01-0${n}T00:00:00.000Z`
const corpus = (name: string, n: number) => ({ id: `${name}-id`, name, createdAt: day(n) }) as Corpus
const tokenizer = (name: string, digest: string, n: number, lossless = true) =>
  ({ id: `${name}-id`, name, digest, lossless, createdAt: day(n) }) as Tokenizer
const teacher = (
  name: string,
  tokenizer: string,
  n: number,
  model: Partial<ModelConfig> = {},
  run?: string,
) =>
  ({
    id: `${name}-id`,
    name,
    tokenizer: `${tokenizer}-id`,
    model: { family: 'llama', context: 256, ...model },
    run,
    createdAt: day(n),
  }) as Teacher
const library = (given: Partial<StarterLibrary>) => ({
  corpora: [],
  tokenizers: [],
  teachers: [],
  runs: [],
  ...given,
})
const made = (given: Partial<StarterLibrary>, taken: string[] = []) =>
  experiment.parse(parse(starter(library(given), taken)))

describe('a new experiment', () => {
  it('has the teachers of the tokenizer that most share, and the text that they were trained on', () => {
    const runs = [{ id: 'r1', corpora: [{ id: 'tales-id', name: 'tales' }] }] as RunRow[]
    const found = made({
      corpora: [corpus('tales', 1), corpus('other', 3)],
      tokenizers: [tokenizer('a', '1', 1), tokenizer('same', '1', 2), tokenizer('b', '2', 3)],
      teachers: [teacher('x', 'a', 1, {}, 'r1'), teacher('y', 'same', 2), teacher('alone', 'b', 3)],
      runs,
    })
    expect(found).toMatchObject({
      name: '2-teachers-on-tales',
      teachers: ['x', 'y'],
      corpus: [{ name: 'tales', weight: 1 }],
      loss: { features: { gamma: 0.1 } },
    })
    expect(found.tokenizer).toBeUndefined()
  })

  it('leaves out what cannot go along: lossy tokenizers, long sequences, features that nobody shows', () => {
    const found = made({
      corpora: [corpus('tales', 1)],
      tokenizers: [tokenizer('lossy', '1', 2, false), tokenizer('fine', '2', 1)],
      teachers: [
        teacher('deaf', 'lossy', 1),
        teacher('deaf too', 'lossy', 2),
        { ...teacher('short', 'fine', 1), model: { family: 'onnx', vocab: 9, context: 32 } },
      ],
    })
    expect(found).toMatchObject({
      name: 'short-on-tales',
      teachers: ['short'],
      train: { context: 32 },
      student: { context: 32 },
      loss: { features: false },
    })
  })

  it('names a tokenizer where there are no teachers, and is a whole definition where there is nothing', () => {
    const alone = made({ corpora: [corpus('b: [c]', 1)], tokenizers: [tokenizer('#bpe', '1', 1)] })
    expect(alone).toMatchObject({
      teachers: [],
      tokenizer: '#bpe',
      corpus: [{ name: 'b: [c]' }],
      name: 'no-teacher-on-b: [c]',
    })
    expect(made({})).toMatchObject({ teachers: [], corpus: [{ name: 'my-text' }] })
  })

  it('has a name of its own', () => {
    const given = { corpora: [corpus('tales', 1)] }
    const taken = ['no-teacher-on-tales', 'no-teacher-on-tales-2']
    expect(made(given, taken).name).toBe('no-teacher-on-tales-3')
  })
})

describe('a new teacher', () => {
  const begun = (given: Partial<StarterLibrary>) =>
    teacherDefinition.parse(parse(teacherStarter(library(given))))

  it('learns the newest text that has no teacher yet, with a tokenizer that loses nothing', () => {
    const corpora = [corpus('tales', 1), corpus('plays', 2)]
    const tokenizers = [tokenizer('bpe', '1', 1), tokenizer('lossy', '2', 2, false)]
    expect(begun({ corpora, tokenizers })).toMatchObject({
      name: 'plays-teacher',
      corpus: [{ name: 'plays' }],
      tokenizer: 'bpe',
    })
    const one = teacher('plays-teacher', 'bpe', 3)
    expect(begun({ corpora, tokenizers, teachers: [one] }).name).toBe('tales-teacher')
    const both = [one, teacher('tales-teacher', 'bpe', 4)]
    expect(begun({ corpora, tokenizers, teachers: both }).name).toBe('plays-teacher-2')
  })

  it('is a whole definition where there is nothing', () => {
    expect(begun({})).toMatchObject({ name: 'my-teacher', corpus: [{ name: 'my-text' }] })
  })
})
