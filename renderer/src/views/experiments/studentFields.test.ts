import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { experiment, parse } from '#contract'
import { groups } from './form'
import { beginningAs, kindsOfStudent, studentGroup, trainingAdapters } from './studentFields'

const sized = `name: e # mine
corpus: plays
student: { width: 96, layers: 3, heads: 6, kvHeads: 2, init: teacher }
teachers: [cook]
`
const student = (text: string) => parse(experiment, parseYaml(text) as unknown).student

describe('the form of a student', () => {
  it('goes from sizes to a model and back, and what it writes is never refused', () => {
    const begun = beginningAs(sized, 'cook')
    expect(begun).toContain('name: e # mine')
    expect(student(begun)).toEqual({ from: 'cook', layers: 'all' })
    const adapters = trainingAdapters(begun, true)
    const lora = { rank: 8, alpha: 16, targets: 'all', dropout: 0 }
    expect(student(adapters)).toEqual({ from: 'cook', layers: 'all', lora })
    // Another model, with the adapters that were set.
    expect(student(beginningAs(adapters, 'clerk'))).toEqual({ from: 'clerk', layers: 'all', lora })
    expect(student(trainingAdapters(adapters, false))).toEqual({ from: 'cook', layers: 'all' })
    expect(student(beginningAs(adapters, undefined))).toMatchObject({ width: 64, layers: 2, heads: 4 })
    expect(beginningAs(sized, undefined)).toBe(sized)
  })

  it('shows what has a meaning for it, each setting of a student once', () => {
    expect(groups).toContain(studentGroup)
    const shown = (text: string) =>
      studentGroup.fields
        .filter(({ when }) => when === undefined || (kindsOfStudent(text) as (typeof when)[]).includes(when))
        .map(({ path }) => path.replace('student.', ''))
    expect(shown(sized)).toEqual(['from', 'init', 'width', 'layers', 'heads', 'kvHeads', 'context'])
    const begun = beginningAs(sized, 'cook')
    expect(shown(begun)).toEqual(['from', 'layers', 'lora'])
    expect(shown(trainingAdapters(begun, true))).toEqual([
      'from',
      'layers',
      'lora',
      'lora.rank',
      'lora.alpha',
      'lora.targets',
      'lora.dropout',
    ])
  })
})
