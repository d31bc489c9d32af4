import { describe, expect, it } from 'vitest'
import { isNumber, lowest, measured, measuredOf, numberOf, parse } from '.'

describe('a number that was measured', () => {
  it.each([0, -0, 1.5, 5e-324, -1.7976931348623157e308, Infinity, -Infinity, NaN])(
    '%d is the same after it was written as JSON and read',
    (value) => {
      const read = parse(measured, JSON.parse(JSON.stringify(measuredOf(value))))
      // JSON has one zero.
      expect(numberOf(read)).toBe(Object.is(value, -0) ? 0 : value)
      expect(isNumber(read)).toBe(Number.isFinite(value))
    },
  )

  it('of an older file, in which JSON made null of it, is no number', () => {
    expect(parse(measured, null)).toBe('NaN')
    expect(numberOf(undefined)).toBeNaN()
  })

  it.each([['1.5'], ['infinity'], [NaN], [Infinity], [{}]])(
    'is not %o: that would be written as another',
    (value) => {
      expect(() => parse(measured, value, 'metrics.jsonl: line 3')).toThrow(
        /^metrics\.jsonl: line 3: .*expected a number, or one of "Infinity", "-Infinity", "NaN"$/,
      )
    },
  )

  it('is the lowest among finite ones only', () => {
    expect(lowest(['NaN', 3, '-Infinity', undefined, 2])).toBe(2)
    expect(lowest([undefined, 'Infinity'])).toBe('Infinity')
    expect(lowest([undefined])).toBeUndefined()
  })
})
