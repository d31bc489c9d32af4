import { badInput } from '#contract'
import { LONGEST, readText, tooLong } from './lines'
import type { Entry, Head, Reader } from './reader'
import type { Source } from './source'

/** Rows of cells under a header: CSV as RFC 4180 has it, by comma or semicolon, and TSV. */
export const table: Reader = { name: 'table', fits, entries }

const ENDINGS = ['.csv', '.tsv', '.tab']
/** Rows that are looked at. */
const LOOK = 20

/** By its ending, or because its first line names the fields that are asked for and all rows have as many cells. */
function fits({ text, whole, ending, fields }: Head): boolean {
  if (text === undefined) return false
  if (ENDINGS.includes(ending)) return true
  const rows: string[][] = []
  const parser = new Parser(separatorOf(text), (cells) => rows.push(cells))
  parser.push(text)
  if (whole && parser.end() !== undefined) return false
  const [header, ...others] = rows.slice(0, LOOK + 1)
  if (!header || header.length < 2 || !others.length) return false
  return (
    fields.every((field) => header.includes(field)) && others.every(({ length }) => length === header.length)
  )
}

/** What stands most often in the first line, outside quotes. */
function separatorOf(text: string): string {
  const line = /^[^\r\n]*/.exec(text)![0].replace(/"[^"]*"/g, '')
  const counts = ['\t', ',', ';'].map((sign) => ({ sign, count: line.split(sign).length }))
  return counts.sort((a, b) => b.count - a.count)[0]!.sign
}

async function* entries(source: Source): AsyncGenerator<Entry> {
  let found: { cells: string[]; line: number }[] = []
  let header: string[] | undefined
  let parser: Parser | undefined
  let beginning = ''
  const take = function* (): Generator<Entry> {
    const rows = found
    found = []
    for (const { cells, line } of rows) {
      const where = `${source.name}:${line}`
      if (!header) {
        header = cells
        const twice = cells.find((name, i) => cells.indexOf(name) !== i)
        if (twice !== undefined) throw badInput(`two columns are named "${twice}"`, { file: where })
      } else if (cells.length !== header.length) {
        yield { where, problem: `it has ${cells.length} cells where the header has ${header.length}` }
      } else yield { where, record: Object.fromEntries(header.map((name, i) => [name, cells[i]])) }
    }
  }
  for await (const piece of readText(source)) {
    let next = piece
    if (!parser) {
      beginning += piece
      if (!/[\r\n]/.test(beginning) && beginning.length < LONGEST) continue
      next = beginning
      parser = new Parser(separatorOf(beginning), (cells, line) => found.push({ cells, line }))
    }
    parser.push(next)
    if (parser.waiting > LONGEST) throw tooLong('row', source.name)
    yield* take()
  }
  if (!parser) return
  const open = parser.end()
  if (open !== undefined)
    throw badInput('a quote opens that is never closed', { file: `${source.name}:${open}`, expected: 'CSV' })
  yield* take()
}

/**
 * Cuts text into rows of cells. A cell that begins with a quote ends with one, two of them within stand for one. In
 * TSV quotes are text, unless a whole cell stands between them: there is no rule for line ends within cells there.
 */
class Parser {
  private row: string[] = []
  private parts: string[] = []
  private state: 'begin' | 'plain' | 'quoted' | 'closed' = 'begin'
  private line = 1
  private began = 1
  private quotedSince = 1
  /** A carriage return that ended a row: a line feed after it belongs to it. */
  private returned = false
  /** Characters of the cell at hand. */
  waiting = 0

  constructor(
    private readonly separator: string,
    private readonly onRow: (cells: string[], line: number) => void,
  ) {}

  push(text: string): void {
    let from = 0
    const keep = (to: number) => {
      if (to > from) this.parts.push(text.slice(from, to))
      this.waiting += to - from
    }
    for (let i = 0; i < text.length; i++) {
      const sign = text[i]!
      const feedAfterReturn = sign === '\n' && this.returned
      this.returned = false
      if (sign === '\n' && !feedAfterReturn) this.line++
      if (this.state === 'quoted') {
        if (sign !== '"') continue
        keep(i)
        from = i + 1
        this.state = 'closed'
        continue
      }
      if (feedAfterReturn) {
        from = i + 1
        this.began = this.line
        continue
      }
      if (sign === '"' && this.separator !== '\t') {
        if (this.state === 'begin') {
          from = i + 1
          this.state = 'quoted'
          this.quotedSince = this.line
          continue
        }
        if (this.state === 'closed') {
          // Two quotes: the second one is text.
          from = i
          this.state = 'quoted'
          continue
        }
      }
      if (sign === this.separator || sign === '\n' || sign === '\r') {
        keep(i)
        from = i + 1
        this.endCell()
        if (sign !== this.separator) {
          if (sign === '\r') {
            this.line++
            this.returned = true
          }
          this.endRow()
        }
        continue
      }
      if (this.state === 'begin') this.state = 'plain'
    }
    keep(text.length)
  }

  /** The line of a quote that is still open; else the last row is given. */
  end(): number | undefined {
    if (this.state === 'quoted') return this.quotedSince
    if (this.row.length || this.parts.length || this.state !== 'begin') {
      this.endCell()
      this.endRow()
    }
    return undefined
  }

  private endCell(): void {
    const cell = this.parts.join('')
    this.row.push(this.separator === '\t' ? unquoted(cell) : cell)
    this.parts = []
    this.waiting = 0
    this.state = 'begin'
  }

  private endRow(): void {
    const blank = this.row.length === 1 && !this.row[0]
    if (!blank) this.onRow(this.row, this.began)
    this.row = []
    this.began = this.line
  }
}

function unquoted(cell: string): string {
  const within = /^"((?:[^"]|"")*)"$/.exec(cell)?.[1]
  return within === undefined ? cell : within.replaceAll('""', '"')
}
