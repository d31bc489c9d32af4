import { badInput, type Corpus, type Job, type referredFormats, type Unreadable } from '#contract'
import { conversationOf, turnsOf, type Document } from './conversation'
import {
  jsonLineEntries,
  openSources,
  parseField,
  readerNamed,
  readerOf,
  textEntries,
  valueAt,
  type Entry,
  type Field,
  type Reader,
  type Source,
} from './formats'

type Options = Pick<Extract<Job, { kind: 'import-corpus' }>, 'format' | 'field' | 'unreadable' | 'domain'>

/** The field that is read where none is named, and where a record is no conversation. */
const DEFAULT_FIELD = 'text'

/** Records that are listed of those that could not be read. */
const LISTED = 10

const holdsText = (document: Document | undefined): document is Document =>
  typeof document === 'object' || !!document?.trim()

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
  async *documents(
    file: string,
    onBytes?: (count: number) => void,
    onPlace?: (source: Source, format: Reader['name'], lies: Entry['lies']) => void,
  ): AsyncGenerator<Document> {
    const { roots } = this.field
    const { format, domain } = this.options
    const columns = this.onRecord
      ? []
      : [...new Set([...roots, ...(domain ? parseField(domain.field).roots : [])])]
    for await (const source of openSources(file, onBytes)) {
      const reader = readerNamed(format) ?? (await readerOf(source, roots))
      this.formats.add(format === 'c4' ? format : reader.name)
      for await (const entry of reader.entries(source, columns)) {
        if (!this.isWanted(entry)) continue
        if (reader.name !== 'text') this.unreadable.of++
        const document = this.documentOf(entry)
        if (!holdsText(document)) continue
        onPlace?.(source, reader.name, entry.lies)
        yield document
      }
    }
  }

  /** Documents with text of a part of a file that was read before. */
  documentsIn(text: string, format: (typeof referredFormats)[number], name: string): Document[] {
    const entries = format === 'text' ? textEntries(text, name) : jsonLineEntries(text, name)
    return [...entries]
      .filter((entry) => this.isWanted(entry))
      .map((entry) => this.documentOf(entry))
      .filter(holdsText)
  }

  /** Of all files that were read. */
  format(): Corpus['format'] {
    return this.formats.size === 1 ? [...this.formats][0]! : 'mixed'
  }

  formatsRead(): Corpus['format'][] {
    return [...this.formats]
  }

  /**
   * A record's conversation, by its shape or where the field leads to a list of turns, else its text: conversations
   * often have a text too, written by a template of another model.
   */
  private found(record: unknown) {
    const { field, format } = this.options
    const text = this.field.textOf(record)
    const byShape = field === DEFAULT_FIELD && format !== 'c4' ? conversationOf(record) : undefined
    if (byShape && ('turns' in byShape || !('text' in text))) return byShape
    const value = valueAt(record, field)
    return 'text' in text || !Array.isArray(value) ? text : turnsOf(value)
  }

  /** Whether it is of the domain that is asked for; what cannot be read may be. */
  private isWanted(entry: Entry): boolean {
    const { domain } = this.options
    if (!domain || 'problem' in entry) return true
    if (!('record' in entry)) return false
    const value = valueAt(entry.record, domain.field)
    return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) && String(value) === domain.value
  }

  private documentOf(entry: Entry): Document | undefined {
    if ('text' in entry) return entry.text
    if ('record' in entry) this.onRecord?.(entry.record)
    const found = 'record' in entry ? this.found(entry.record) : entry
    if ('text' in found) return found.text
    if ('turns' in found) return found.turns
    const { where } = entry
    if (this.options.unreadable === 'stop') {
      throw badInput(`the record cannot be read: ${found.problem}`, {
        file: where,
        field: this.options.field,
        expected:
          'a text there (--field names another), or a conversation; such records are left out by --unreadable skip',
      })
    }
    this.unreadable.count++
    if (this.unreadable.first.length < LISTED) this.unreadable.first.push(`${where}: ${found.problem}`)
    return undefined
  }
}
