import type { Source } from './source'

/** What a reader finds at one place: a document of plain text, a record of fields, or something it cannot read. */
export type Entry = { where: string; lies?: Span } & (
  { text: string } | { record: unknown } | { problem: string }
)

/** Bytes of a source, from the first to before the last. */
export interface Span {
  from: number
  to: number
}

/** What a format is found by. */
export interface Head {
  bytes: Uint8Array
  /** The same as text, where it is some; a character that is cut off at its end is left out. */
  text?: string
  /** Whether that is all of it. */
  whole: boolean
  /** The ending of its name, without `.gz` or `.zst`, in small letters: `.csv`. */
  ending: string
  /** Names of the fields that are asked for. */
  fields: readonly string[]
}

/** One format that corpora are read from. */
export interface Reader {
  name: 'text' | 'jsonl' | 'json' | 'table' | 'parquet' | 'arrow'
  /** Whether a source that begins so is one. Asked in the order of the table, plain text last. */
  fits(head: Head): boolean
  entries(source: Source, fields: readonly string[]): AsyncIterable<Entry>
}
