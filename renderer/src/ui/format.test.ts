import { describe, expect, it } from 'vitest'
import { bytes, duration, megabytes, memoryShortage, show, showSigned } from './format'

describe('numbers', () => {
  it('have four significant digits', () => {
    expect([2.97812, 0.0811732, 12.3456, 123.456, 1234.56, 17131.4].map(show)).toEqual([
      '2.978',
      '0.08117',
      '12.35',
      '123.5',
      '1235',
      '17,131',
    ])
    expect(show(400)).toBe('400')
    expect(show(0.00000123456)).toBe('1.235e-6')
    expect(show(2.2e22)).toBe('2.200e+22')
    expect(show(-123456)).toBe('-123,456')
  })

  it('are a dash where there is none, and carry their sign as differences', () => {
    expect([null, undefined].map(show)).toEqual(['–', '–'])
    expect([showSigned(0.25), showSigned(-0.25), showSigned(0), showSigned(null)]).toEqual([
      '+0.2500',
      '−0.2500',
      '±0',
      '',
    ])
  })

  it('that are infinite or none are shown as what they are, as JSON brings them and as they are computed', () => {
    expect((['Infinity', '-Infinity', 'NaN'] as const).map(show)).toEqual(['∞', '−∞', 'NaN'])
    expect([Infinity, -Infinity, NaN].map(show)).toEqual(['∞', '−∞', 'NaN'])
    expect((['Infinity', '-Infinity', 'NaN'] as const).map(showSigned)).toEqual(['+∞', '−∞', 'NaN'])
  })

  it('of time and size have the unit that a person would choose', () => {
    expect([12, 89, 180, 7200].map(duration)).toEqual(['12 s', '89 s', '3 min', '2.0 h'])
    expect([12, 1500, 1.2e6, 3e9].map(bytes)).toEqual(['12 B', '1.500 kB', '1.200 MB', '3 GB'])
    expect([0.4, 265.4, 1023, 67_318].map(megabytes)).toEqual(['under 1 MB', '265 MB', '1023 MB', '65.74 GB'])
  })

  it('of a memory that is short are never thousands of megabytes', () => {
    expect(
      memoryShortage({ needMb: 67_318, limitMb: 23_552, memoryMb: 900, advice: 'Less.', mend: [] }),
    ).toBe('It needs about 65.74 GB, 23 GB can be had. Less. About 900 MB are enough then.')
  })
})
