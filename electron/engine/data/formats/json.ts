import { badInput } from '#contract'
import { entryOf } from './jsonLines'
import { LONGEST, readText, tooLong } from './lines'
import type { Entry, Head, Reader } from './reader'
import type { Source } from './source'

/** An array of objects, or objects one after another that go over several lines. */
export const json: Reader = { name: 'json', fits, entries }

function fits({ text, ending }: Head): boolean {
  if (text === undefined) return false
  return ending === '.json' || /^\s*(\[\s*\{\s*["}]|\{\s*\n\s*")/.test(text)
}

async function* entries(source: Source): AsyncGenerator<Entry> {
  let number = 0
  for await (const value of values(source)) yield entryOf(value, `${source.name}, item ${++number}`)
}

/**
 * The items of an array, or the values of a text, each cut out by its brackets and quotes: memory holds one.
 *
 * @throws bad-input for what ends within one
 */
async function* values(source: Source): AsyncGenerator<string> {
  let parts: string[] = []
  let length = 0
  // Brackets that are open within the value; whether the text is an array, whose items are the values.
  let depth = 0
  let quoted = false
  let escaped = false
  let array: boolean | undefined
  let closed = false
  for await (const piece of readText(source)) {
    let from = 0
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i)
      if (quoted) {
        if (escaped) escaped = false
        else if (code === BACKSLASH) escaped = true
        else if (code === QUOTE) quoted = false
        continue
      }
      if (array === undefined) {
        if (code <= SPACE) continue
        array = code === OPEN_ARRAY
        if (array) {
          from = i + 1
          continue
        }
        from = i
      }
      if (code === QUOTE) quoted = true
      else if (code === OPEN_ARRAY || code === OPEN_OBJECT) depth++
      else if (code === CLOSE_ARRAY && depth === 0 && array) {
        closed = true
        parts.push(piece.slice(from, i))
        from = i + 1
        const last = parts.join('').trim()
        parts = []
        if (last) yield last
      } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
        depth--
        if (depth < 0) throw broken(source.name, 'a bracket closes that did not open')
      }
      const ends = depth === 0 && (array ? code === COMMA : code === CLOSE_OBJECT || code === CLOSE_ARRAY)
      if (!ends || (closed && code === CLOSE_ARRAY)) continue
      parts.push(piece.slice(from, array ? i : i + 1))
      from = i + 1
      length = 0
      const value = parts.join('').trim()
      parts = []
      if (value) yield value
    }
    parts.push(piece.slice(from))
    length += piece.length - from
    if (length > LONGEST) throw tooLong('value', source.name)
  }
  const rest = parts.join('').trim()
  if (quoted || depth > 0 || (array && !closed)) throw broken(source.name, 'it is cut off')
  if (rest && closed) throw broken(source.name, 'something follows the array')
  if (rest) yield rest
}

const [BACKSLASH, QUOTE, COMMA, SPACE] = [0x5c, 0x22, 0x2c, 0x20]
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

const broken = (file: string, why: string) =>
  badInput(`the JSON cannot be read: ${why}`, { file, expected: 'an array of objects, or objects' })
