import { describe, expect, it } from 'vitest'
import { matches, namesIn, parseExpression } from './expression'

const values: Record<string, number | string | string[] | null> = {
  lambda: 0.7,
  tag: ['paper', 'old'],
  status: 'Completed',
  ece: null,
  perplexity: NaN,
}
const holds = (text: string) =>
  matches(parseExpression(text), 'entropy plays completed', (name) => values[name])

describe('an expression', () => {
  it.each([
    ['', true],
    ['entropy', true],
    ['Entropy plays', true],
    ['entropy uniform', false],
    ['entropy or uniform', true],
    ['not uniform', true],
    ['lambda > 0.5', true],
    ['lambda>0.5', true],
    ['lambda > 0.7', false],
    ['lambda >= 0.7 and lambda<=0.7', true],
    ['lambda > 0.5 and tag = paper', true],
    ['lambda > 0.5 and tag = draft', false],
    ['tag = old', true],
    ['tag ~ pap', true],
    ['tag != draft', true],
    ['tag != paper', false],
    ['status = completed', true],
    ['status ~ "compl"', true],
    ['status < completed', false],
    ['lambda < 0.5 or (tag = paper and not uniform)', true],
    ['not (lambda < 0.5 or tag = paper)', false],
    // "and" binds closer than "or".
    ['uniform and uniform or entropy', true],
    ['entropy or uniform and uniform', true],
    // Not measured, or no number: neither more nor less nor equal.
    ['ece < 1', false],
    ['ece = 0', false],
    ['ece != 0', true],
    ['perplexity < 1e9', false],
    ['perplexity > 0', false],
    ['"or"', false],
  ])('%s', (text, expected) => {
    expect(holds(text)).toBe(expected)
  })

  it('names what it compares', () => {
    expect(namesIn(parseExpression('a < 1 or not (b = 2 and word)'))).toEqual(['a', 'b'])
  })

  it.each([
    ['lambda >', /after "lambda >"/],
    ['> 3', /before ">"/],
    ['(entropy', /not closed/],
    ['entropy)', /not opened/],
    ['entropy and', /missing at the end/],
    ['or entropy', /missing before "or"/],
  ])('that cannot be read says why: %s', (text, why) => {
    expect(() => parseExpression(text)).toThrow(why)
  })
})
