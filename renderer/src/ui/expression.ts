/**
 * What a list's filter asks for: words that a row's text holds and comparisons of its values, joined by `and` (which may
 * be left out), `or`, `not` and brackets: `lambda > 0.5 and (tag = paper or not failed)`.
 */
export type Expression =
  | { is: 'word'; text: string }
  | { is: 'compare'; name: string; sign: Sign; value: string }
  | { is: 'not'; of: Expression }
  | { is: 'and' | 'or'; of: Expression[] }

const signs = ['<=', '>=', '!=', '<', '>', '=', '~'] as const
type Sign = (typeof signs)[number]

interface Token {
  text: string
  quoted: boolean
}

/** @throws Error in words that a person understands, where it cannot be read */
export function parseExpression(text: string): Expression {
  const tokens = tokensOf(text)
  let at = 0
  const is = (...wanted: string[]) => {
    const token = tokens[at]
    return token !== undefined && !token.quoted && wanted.includes(token.text.toLowerCase())
  }
  const any = (): Expression => {
    const of = [all()]
    while (is('or')) {
      at++
      of.push(all())
    }
    return of.length === 1 ? of[0]! : { is: 'or', of }
  }
  const all = (): Expression => {
    const of = [one()]
    while (at < tokens.length && !is('or', ')')) {
      if (is('and')) at++
      of.push(one())
    }
    return of.length === 1 ? of[0]! : { is: 'and', of }
  }
  const one = (): Expression => {
    const token = tokens[at]
    if (!token || is('and', 'or', ')'))
      throw new Error(`something is missing ${token ? `before "${token.text}"` : 'at the end'}`)
    at++
    if (!token.quoted && token.text.toLowerCase() === 'not') return { is: 'not', of: one() }
    if (!token.quoted && token.text === '(') {
      const inner = any()
      if (!is(')')) throw new Error('a bracket is not closed')
      at++
      return inner
    }
    const sign = signs.find((sign) => is(sign))
    if (!sign || isSign(token)) {
      if (isSign(token)) throw new Error(`what is before "${token.text}"?`)
      return { is: 'word', text: token.text.toLowerCase() }
    }
    const value = tokens[at + 1]
    if (!value || isSign(value)) throw new Error(`what is after "${token.text} ${sign}"?`)
    at += 2
    return { is: 'compare', name: token.text, sign, value: value.text.toLowerCase() }
  }
  if (!tokens.length) return { is: 'and', of: [] }
  const expression = any()
  if (at < tokens.length) throw new Error('a bracket is closed that was not opened')
  return expression
}

const isSign = ({ text, quoted }: Token) => !quoted && (signs as readonly string[]).includes(text)

function tokensOf(text: string): Token[] {
  const pattern = /"([^"]*)"|(<=|>=|!=|[<>=~()])|([^\s"<>=~()!]+|!(?!=))/g
  return [...text.matchAll(pattern)].map(([all, quoted]) => ({
    text: quoted ?? all,
    quoted: quoted !== undefined,
  }))
}

/** The names that it compares values of. */
export function namesIn(expression: Expression): string[] {
  if (expression.is === 'compare') return [expression.name]
  if (expression.is === 'word') return []
  return (expression.is === 'not' ? [expression.of] : expression.of).flatMap(namesIn)
}

/** What a row has by a name: nothing where it was not measured, several as of tags. */
export type Values = number | string | readonly string[] | null | undefined

/**
 * Whether a row is what is asked for. What was not measured is neither less nor more than anything, nor equal to it; text
 * is compared without regard to capitals, and `~` is what it holds.
 */
export function matches(expression: Expression, text: string, valueOf: (name: string) => Values): boolean {
  switch (expression.is) {
    case 'word':
      return text.includes(expression.text)
    case 'not':
      return !matches(expression.of, text, valueOf)
    case 'and':
      return expression.of.every((part) => matches(part, text, valueOf))
    case 'or':
      return expression.of.some((part) => matches(part, text, valueOf))
    case 'compare':
      return compare(valueOf(expression.name), expression.sign, expression.value)
  }
}

function compare(own: Values, sign: Sign, wanted: string): boolean {
  if (sign === '!=') return !compare(own, '=', wanted)
  if (own === null || own === undefined) return false
  if (typeof own === 'object') return own.some((one) => compare(one, sign, wanted))
  const [a, b] = [Number(own), Number(wanted)]
  const numbers = typeof own === 'number' && !Number.isNaN(b)
  switch (sign) {
    case '~':
      return String(own).toLowerCase().includes(wanted)
    case '=':
      return numbers ? a === b : String(own).toLowerCase() === wanted
    case '<':
      return numbers && a < b
    case '<=':
      return numbers && a <= b
    case '>':
      return numbers && a > b
    case '>=':
      return numbers && a >= b
  }
}
