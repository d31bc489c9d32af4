import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { experiment } from './experiment'
import { rangeAt } from './range'

describe('the range of a number', () => {
  it('is said as the schema has it, through defaults, unions and refinements', () => {
    const schema = z.strictObject({
      share: z.number().min(0).lt(1).default(0.5),
      inner: z.union([z.literal(false), z.strictObject({ gamma: z.number().positive() })]).prefault(false),
      count: z.number().int().positive(),
      any: z.number(),
      text: z.string(),
    })
    const of = (path: string) => rangeAt(schema, path)
    expect([of('share'), of('inner.gamma'), of('count')]).toEqual([
      '0 to below 1',
      'above 0',
      'whole, from 1',
    ])
    expect([of('any'), of('text'), of('absent'), of('constructor')]).toEqual(Array(4).fill(undefined))
  })

  it('is what a definition is refused by', () => {
    const base = { name: 'a', corpus: 'b', student: { width: 8, layers: 1, heads: 1 }, teachers: [] }
    const accepts = (lambda: number) => experiment.safeParse({ ...base, loss: { lambda } }).success
    expect(rangeAt(experiment, 'loss.lambda')).toBe('0 to 1')
    expect([-0.01, 0, 1, 1.01].map(accepts)).toEqual([false, true, true, false])
    expect(rangeAt(experiment, 'train.steps')).toBe('whole, from 1')
  })
})
