import { describe, expect, it } from 'vitest'
import { emptyCatalogue, type CatalogueData } from '../../store'
import { usesOf } from './uses'

const experiment = (id: string, definition: string) => ({ id, name: id, definition })
const grid = (id: string, definition: string, rest: object = {}) => ({
  id,
  name: id,
  definition,
  cells: [],
  ...rest,
})
const thing = (id: string, name = id) => ({ id, name })
const data = {
  ...emptyCatalogue(),
  corpora: [thing('plays-1', 'plays'), thing('web-1', 'web')],
  teachers: [
    thing('cook-1', 'cook'),
    { ...thing('sure-1', 'sure cook'), derived: { from: 'cook-1', logitScale: 4 } },
  ],
  experiments: [
    experiment('by-name', 'corpus: plays\nteachers: [cook]'),
    experiment(
      'by-id',
      'corpus: [{ name: web }, { name: plays-1, weight: 2 }]\nteachers: []\ntokenizer: cook',
    ),
    experiment('layers', 'corpus: web\nstudent: { init: { teacher: cook } }\nteachers: []'),
    experiment('begun', 'corpus: web\nstudent: { from: cook, lora: {} }\nteachers: []'),
    experiment('next', 'corpus: web\nteachers: []\ncontinue: { run: first }'),
    experiment('broken', 'corpus: [plays'),
  ],
  grids: [
    grid('inline', 'base: { corpus: plays, teachers: [] }\naxes: { teachers: [[], [cook]] }'),
    grid('named', 'base: by-name\naxes: {}', { cells: [{ run: 'first' }], report: 'told' }),
  ],
  runs: [
    {
      ...thing('first'),
      corpora: [thing('plays-1')],
      teachers: [],
      foreign: [thing('cook-1')],
      experiment: 'by-name',
    },
    {
      ...thing('second'),
      corpora: [thing('web-1')],
      teachers: [],
      foreign: [],
      origin: thing('cook-1', 'cook'),
    },
  ],
  reports: [thing('told')],
} as unknown as CatalogueData
const uses = (noun: Parameters<typeof usesOf>[1], ...ids: string[]) =>
  usesOf(data, noun, ids).map((use) => `${use.noun} ${use.name} ${use.says}`)

describe('what refers to a thing', () => {
  it('is named with how, whether by name or by id', () => {
    expect(uses('corpora', 'plays-1')).toEqual([
      'experiments by-name learns from it',
      'experiments by-id learns from it',
      'grids inline learns from it',
      'runs first has learnt from it',
    ])
    expect(uses('teachers', 'cook-1')).toEqual([
      'experiments by-name is taught by it',
      'experiments by-id has its tokenizer',
      'experiments layers begins with its layers',
      'experiments begun begins as it',
      'grids inline has it on an axis',
      'runs first has learnt from it',
      'runs second began as it',
      'teachers sure cook was made of it',
    ])
    expect(uses('runs', 'first')).toEqual([
      'experiments next goes on from it',
      'grids named has its result in a cell',
    ])
    expect(uses('experiments', 'by-name')).toEqual([
      'grids named is made of it',
      'runs first was started from it',
    ])
    expect(uses('reports', 'told')).toEqual(['grids named has it as its report'])
  })

  it('is nothing for what stands alone, or is named by a text that cannot be read', () => {
    expect(uses('runs', 'second')).toEqual([])
    expect(uses('experiments', 'broken')).toEqual([])
  })
})
