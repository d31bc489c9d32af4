import { describe, expect, it } from 'vitest'
import { experiment, teacherDefinition } from '#contract'
import { placeAt } from '../../ui/yaml/place'
import { teacherGroups } from '../teachers/teacherForm'
import { groups } from './form'
import { knowledgeOf } from './knowledge'

const names = { corpus: ['recipes'], teachers: ['cook'], tokenizer: ['bpe'], model: ['cook'] }
const ofExperiments = knowledgeOf(experiment, groups, () => names)

/** What is offered at the end of a text. */
const offered = (text: string, knowledge = ofExperiments) =>
  knowledge.suggest(placeAt(text, text.length)!).map((suggestion) => suggestion.text)

describe('what an editor offers in a definition', () => {
  it('is the keys of the schema where a key is written', () => {
    expect(offered('')).toEqual(expect.arrayContaining(['name: ', 'corpus: ', 'train:', 'seed: ']))
    expect(offered('train: { ')).toEqual(expect.arrayContaining(['steps: ', 'batch: ', 'mixture:']))
    expect(offered('train:\n  ')).toEqual(offered('train: { '))
    expect(offered('teachers:\n  - name: cook\n    ')).toEqual(['name: ', 'precision: '])
  })

  it('is what the schema accepts, and the names of the library, where a value is', () => {
    expect(offered('weighting: { strategy: ')).toEqual(
      expect.arrayContaining(['entropy', 'uniform', 'fixed']),
    )
    expect(offered('cache: { mode: ')).toEqual(expect.arrayContaining(['off', 'exact']))
    expect(offered('corpus: ')).toContain('recipes')
    expect(offered('teachers: [')).toContain('cook')
    expect(offered('teachers:\n  - ')).toContain('cook')
    expect(offered('teachers: [{ name: ')).toContain('cook')
    expect(offered('student: { from: ')).toContain('cook')
    expect(offered('train: { steps: ')).toEqual([])
    expect(offered('no: { such: ')).toEqual([])
  })

  it('is of teachers what a teacher’s definition knows', () => {
    const ofTeachers = knowledgeOf(teacherDefinition, teacherGroups, () => names)
    expect(offered('', ofTeachers)).toContain('model:')
    expect(offered('', ofTeachers)).not.toContain('teachers:')
    expect(offered('tokenizer: ', ofTeachers)).toEqual(['bpe'])
  })

  it('tells of a setting what the form tells', () => {
    expect(ofExperiments.help(['weighting', 'temperature'])).toBe('Lower is sharper · above 0 · default 1')
    expect(ofExperiments.help(['weighting', 'nothing'])).toBeUndefined()
  })
})
