import { describe, expect, it } from 'vitest'
import type { Problem } from '#contract'
import { placeOf } from './definitionText'
import { groups } from './form'
import { faultsOf } from './problems'

const fields = groups.flatMap((group) => group.fields)
const problem = (field: string | undefined, what: string): Problem => ({
  code: 'bad-input',
  message: field === undefined ? what : `${field}: ${what}`,
  field,
})

describe('what is wrong with a definition', () => {
  it('stands at its field, in the order of the form, and without the path that the field says already', () => {
    const faults = faultsOf(
      [
        problem('train.warmup', 'is too small'),
        problem('loss.lambda', 'is too big'),
        problem('teachers.1', 'no teacher named "kook"'),
        problem(undefined, 'line 3, column 1: a bracket is missing'),
        problem('weighting.weights.0', 'is too small'),
      ],
      fields,
    )
    expect(faults.map(({ place, what }) => `${place} | ${what}`)).toEqual([
      'Teachers | no teacher named "kook"',
      'Weights | is too small',
      'Distillation share λ | is too big',
      'train.warmup | is too small',
      'YAML | line 3, column 1: a bracket is missing',
    ])
    expect(faults.map(({ field }) => field?.path)).toEqual([
      'teachers',
      'weighting.weights',
      'loss.lambda',
      undefined,
      undefined,
    ])
  })

  it('of a whole group stands at its first field', () => {
    expect(faultsOf([problem('loss.features', 'is a number')], fields)[0]!.field?.path).toBe(
      'loss.features.gamma',
    )
  })
})

describe('the place of a path in the text', () => {
  const text = 'name: a\nloss:\n  lamda: 3 # high\n  tau: 1\nteachers: [x, y]\n'
  const at = (path?: string) => {
    const place = placeOf(text, path)
    return place && text.slice(...place)
  }
  it('is its key with its value, or what is nearest around it', () => {
    expect(at('loss.lamda')).toBe('lamda: 3')
    expect(at('teachers.1')).toBe('y')
    expect(at('loss.topK')).toBe('loss:\n  lamda: 3 # high\n  tau: 1\n')
    expect(at('seed')).toBeUndefined()
    expect(at()).toBeUndefined()
  })

  it('is where the text ceases to be YAML', () => {
    const broken = 'name: a\nteachers: [x\nseed: 1\n'
    const [from] = placeOf(broken)!
    expect(from).toBeGreaterThan(broken.indexOf('['))
  })
})
