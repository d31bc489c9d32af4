import { badInput, type Corpus, type Job, type Unreadable } from '#contract'
import { openSources, parseField, readerNamed, readerOf, type Entry, type Field } from './formats'

type Options = Pick<Extract<Job, { kind: 'import-corpus' }>, 'format' | 'field' | 'unreadable'>

/** Records that are listed of those that could not be read. */
const LISTED = 10

/** Reads documents out of files, and keeps what was found and what was left out. */
export class Reading {
  readonly unreadable: Unreadable = { count: 0, of: 0, first: [] }
  private readonly field: Field
  private readonly formats = new Set<Corpus['format']>()

  /**
   * @param onRecord hears of every record; then all columns of a table are read
   * @throws bad-input for a field that is none
   */
  constructor(
    private readonly options: Options,
    private readonly onRecord?: (record: unknown) => void,
  ) {
    this.field = parseField(options.format === 'c4' ? 'text' : options.field)
  }

  /** Documents with text, in their order. */
  async *documents(file: string, onBytes?: (count: number) => void): AsyncGenerator<string> {
    const { roots } = this.field
    const { format } = this.options
    const columns = this.onRecord ? [] : roots
    for await (const source of openSources(file, onBytes)) {
      const reader = readerNamed(format) ?? (await readerOf(source, roots))
      this.formats.add(format === 'c4' ? format : reader.name)
      for await (const entry of reader.entries(source, columns)) {
        if (reader.name !== 'text') this.unreadable.of++
        const text = this.textOf(entry)
        if (text?.trim()) yield text
      }
    }
  }

  /** Of all files that were read. */
  format(): Corpus['format'] {
    return this.formats.size === 1 ? [...this.formats][0]! : 'mixed'
  }

  formatsRead(): Corpus['format'][] {
    return [...this.formats]
  }

  private textOf(entry: Entry): string | undefined {
    if ('text' in entry) return entry.text
    if ('record' in entry) this.onRecord?.(entry.record)
    const found = 'record' in entry ? this.field.textOf(entry.record) : entry
    if ('text' in found) return found.text
    const { where } = entry
    if (this.options.unreadable === 'stop') {
      throw badInput(`the record cannot be read: ${found.problem}`, {
        file: where,
        field: this.options.field,
        expected: 'a text there; such records are left out by --unreadable skip',
      })
    }
    this.unreadable.count++
    if (this.unreadable.first.length < LISTED) this.unreadable.first.push(`${where}: ${found.problem}`)
    return undefined
  }
}
