const SPACE = ' \t\n\r'
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/**
 * Where a text that is no JSON stops being it, in words for a person: `line 3, column 7`, or that the text ends too
 * early. In time linear in the text, however deeply it is nested.
 */
export function jsonFault(text: string): string {
  const at = faultAt(text)
  if (at >= text.length) return 'it ends too early'
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = at - before.lastIndexOf('\n')
  return `line ${line}, column ${column}`
}

/** The place of the first character that does not belong there. */
function faultAt(text: string): number {
  /** What encloses the place, outermost first. */
  const open: ('{' | '[')[] = []
  let at = 0
  /** What may come next. */
  let next: 'value' | 'value or ]' | 'key' | 'key or }' | 'end' = 'value'
  const blanks = () => {
    while (at < text.length && SPACE.includes(text[at]!)) at++
  }
  for (;;) {
    blanks()
    const sign = text[at]
    if (sign === undefined) return at
    if (next === 'end') {
      const inside = open.at(-1)
      if (sign === (inside === '{' ? '}' : ']') && inside) open.pop()
      else if (sign === ',' && inside) next = inside === '{' ? 'key' : 'value'
      else return at
      at++
    } else if (next === 'key' || next === 'key or }') {
      if (sign === '}' && next === 'key or }') {
        open.pop()
        at++
        next = 'end'
        continue
      }
      if (sign !== '"') return at
      const { end, whole } = readString(text, at)
      if (!whole) return end
      at = end
      blanks()
      if (text[at] !== ':') return at
      at++
      next = 'value'
    } else if (sign === '{' || sign === '[') {
      open.push(sign)
      at++
      next = sign === '{' ? 'key or }' : 'value or ]'
    } else if (sign === ']' && next === 'value or ]') {
      open.pop()
      at++
      next = 'end'
    } else if (sign === '"') {
      const { end, whole } = readString(text, at)
      if (!whole) return end
      at = end
      next = 'end'
    } else {
      const length = matched(NUMBER, text, at) || matched(WORD, text, at)
      if (!length) return at
      at += length
      next = 'end'
    }
  }
}

/** Behind the closing quote of the text that begins at `at`, or else the place that is wrong. */
function readString(text: string, at: number): { end: number; whole: boolean } {
  let i = at + 1
  while (i < text.length) {
    const code = text.charCodeAt(i)
    if (code === 0x22) return { end: i + 1, whole: true }
    if (code < 0x20) break
    const length = code === 0x5c ? matched(ESCAPE, text, i) : 1
    if (!length) break
    i += length
  }
  return { end: i, whole: false }
}

function matched(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0].length ?? 0
}
