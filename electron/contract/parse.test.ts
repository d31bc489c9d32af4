import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { experiment } from './experiment'
import { errorShape, problemsOf, RetortError } from './errors'
import { parse } from './parse'

function wrong(act: () => unknown): string[] {
  try {
    act()
    return []
  } catch (error) {
    return problemsOf(error).map(({ message }) => message)
  }
}
const definition = {
  name: 'e',
  corpus: 'recipes',
  teachers: ['cook'],
  student: { width: 16, heads: 2, layers: 1 },
}

describe('everything that is wrong with what came from outside is told at once', () => {
  it('field by field, also where fields go together', () => {
    const messages = wrong(() =>
      parse(
        experiment,
        {
          ...definition,
          student: { width: 64, heads: 7, layers: 1 },
          loss: { lambda: 1.5 },
          train: { steps: 0, batch: 5, accumulate: 2 },
        },
        'e.yaml',
      ),
    )
    expect(messages.sort()).toEqual([
      'e.yaml: loss.lambda: is too big; expected at most 1',
      'e.yaml: student.heads: 7 heads do not divide the width 64',
      'e.yaml: train.accumulate: the batch of 5 sequences is not a multiple of 2 micro-batches',
      'e.yaml: train.steps: is too small; expected more than 0',
    ])
  })

  it('an unknown key first, in place of the one that it was meant for', () => {
    const student = { widht: 16, heads: 2, layers: 1, init: 'nobody' }
    const messages = wrong(() => parse(experiment, { ...definition, student, sed: 1 }))
    expect(messages.slice(0, 2).sort()).toEqual([
      'sed: unknown key; expected "seed"',
      'student.widht: unknown key; expected "width"',
    ])
    expect(messages.some((message) => message.startsWith('student.init: '))).toBe(true)
    expect(messages.some((message) => message.startsWith('student.width: '))).toBe(false)
  })

  it('all of the branch of a choice that got furthest', () => {
    const schema = z.object({
      of: z.union([z.literal(false), z.object({ a: z.number(), b: z.number() })]),
    })
    expect(wrong(() => parse(schema, { of: { a: 'x', b: 'y' } }))).toEqual([
      'of.a: is a text; expected a number',
      'of.b: is a text; expected a number',
    ])
  })

  it('but no more than can be read, each once, and over a boundary and back', () => {
    const messages = wrong(() => parse(z.array(z.number()), Array(5000).fill('x')))
    expect(messages).toHaveLength(20)
    expect(new Set(messages).size).toBe(20)
    try {
      parse(z.array(z.number()), ['x', 'y'])
    } catch (error) {
      const sent = errorShape.parse(JSON.parse(JSON.stringify((error as RetortError).toShape())))
      expect(problemsOf(new RetortError(sent))).toEqual(problemsOf(error))
    }
    expect.assertions(3)
  })
})
