import { readLines } from './lines'
import type { Entry, Reader } from './reader'
import type { Source } from './source'

/** Blocks of a plain text are joined into documents of about this many characters. */
export const DOCUMENT = 2000
/** A block of so many characters without a blank line is cut. */
const LONGEST_BLOCK = 10 * DOCUMENT

export const text: Reader = { name: 'text', fits: () => true, entries }

/**
 * Plain text is cut at blank lines; blocks are gathered into documents, so that there is something to hold out. A block
 * that goes on and on, as a book without blank lines or text8 does, is cut at the ends of its lines, or at blanks.
 */
async function* entries(source: Source): AsyncGenerator<Entry> {
  let document: string[] = []
  let length = 0
  let number = 0
  let began = 1
  const take = (): Entry => {
    const whole = { where: `${source.name}:${began}`, text: document.join('').trim() }
    document = []
    length = 0
    began = number
    return whole
  }
  for await (const raw of readLines(source, LONGEST_BLOCK)) {
    number++
    const line = raw.replace(/\r\n$/, '\n')
    if (length >= LONGEST_BLOCK || (!line.trim() && length >= DOCUMENT)) {
      yield take()
      if (!line.trim()) continue
    }
    document.push(line)
    length += line.length
  }
  yield take()
}
