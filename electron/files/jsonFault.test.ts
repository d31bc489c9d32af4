import { describe, expect, it } from 'vitest'
import { jsonFault, parseJson } from '.'

describe('what is no JSON', () => {
  it.each([
    ['{"a": 1,}', 'line 1, column 9'],
    ['{"a": 1 "b": 2}', 'line 1, column 9'],
    ['[1,\n 2,\n x]', 'line 3, column 2'],
    ['{"a": [1, 2', 'it ends too early'],
    ['"text', 'it ends too early'],
    ['', 'it ends too early'],
    ['01', 'line 1, column 2'],
    ['{"a": "\\q"}', 'line 1, column 8'],
    ['{} {}', 'line 1, column 4'],
    ['["a\nb"]', 'line 1, column 4'],
    ['{"a" 1}', 'line 1, column 6'],
    ['{1: 2}', 'line 1, column 2'],
    ['[}', 'line 1, column 2'],
    ['NaN', 'line 1, column 1'],
  ])('%j: %s', (text, place) => {
    expect(() => JSON.parse(text) as unknown).toThrow()
    expect(jsonFault(text)).toBe(place)
    expect(() => parseJson(text, 'x.json')).toThrow(`x.json: it cannot be read as JSON (${place})`)
  })

  it('is found behind a million brackets', () => {
    expect(jsonFault(`${'['.repeat(1e6)}x`)).toBe('line 1, column 1000001')
  })
})
