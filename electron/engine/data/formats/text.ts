import { linesOf, readLines } from './lines'
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
class Gathering {
  private lines: string[] = []
  private length = 0
  private number = 0
  private began = 1
  private from = 0
  private to = 0

  constructor(private readonly name: string) {}

  /** @returns the document that ends before this line, if one does */
  add(raw: string): Entry | undefined {
    this.number++
    const line = raw.replace(/\r\n$/, '\n')
    const blank = !line.trim()
    const ends = this.length >= LONGEST_BLOCK || (blank && this.length >= DOCUMENT)
    const ended = ends ? this.take() : undefined
    this.to += Buffer.byteLength(raw)
    if (ends && blank) {
      this.from = this.to
      return ended
    }
    this.lines.push(line)
    this.length += line.length
    return ended
  }

  /** The document that is not ended yet. */
  take(): Entry {
    const { from, to } = this
    const where = `${this.name}:${this.began}`
    const text = this.lines.join('').trim()
    this.lines = []
    this.length = 0
    this.began = this.number
    this.from = to
    return { where, text, lies: { from, to } }
  }
}

async function* entries(source: Source): AsyncGenerator<Entry> {
  const gathering = new Gathering(source.name)
  for await (const line of readLines(source, LONGEST_BLOCK)) {
    const ended = gathering.add(line)
    if (ended) yield ended
  }
  yield gathering.take()
}

/** The same of a text that is there: a part of a source that begins where a document does gives the same documents. */
export function* textEntries(text: string, name: string): Generator<Entry> {
  const gathering = new Gathering(name)
  for (const line of linesOf(text, LONGEST_BLOCK)) {
    const ended = gathering.add(line)
    if (ended) yield ended
  }
  yield gathering.take()
}
