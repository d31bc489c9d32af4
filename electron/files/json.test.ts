import { describe, expect, it } from 'vitest'
import { parseJson } from './json'

describe('JSON', () => {
  const nested = (levels: number, open: string, close: string, within = '') =>
    open.repeat(levels) + within + close.repeat(levels)

  it('is refused where it is nested deeper than its readers have stack for', () => {
    for (const levels of [257, 100_000]) {
      for (const text of [nested(levels, '[', ']'), nested(levels, '{"a":', '}', '1')])
        expect(() => parseJson(text, 'a.json')).toThrow('a.json: its JSON is nested deeper than 256 levels')
    }
  })

  it('is taken to 256 levels, and with any number of brackets that are text or stand side by side', () => {
    expect(JSON.stringify(parseJson(nested(256, '[', ']'), 'a.json'))).toBe(nested(256, '[', ']'))
    const text = JSON.stringify({ a: '['.repeat(1000), ['\\"{'.repeat(300)]: '\\', b: Array(1000).fill([]) })
    expect(JSON.stringify(parseJson(text, 'a.json'))).toBe(text)
  })
})
