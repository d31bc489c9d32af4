import type { Corpus } from '#contract'
import { arrow } from './arrow'
import { json } from './json'
import { jsonLineEntries, jsonLines } from './jsonLines'
import { endingOf } from './listFiles'
import { parquet } from './parquet'
import type { Entry, Head, Reader } from './reader'
import { peek, type Source } from './source'
import { table } from './table'
import { text, textEntries } from './text'

/** Formats in the order in which they are asked whether a file is theirs; plain text is what is left. */
export const READERS = [parquet, arrow, jsonLines, json, table, text] as const satisfies readonly Reader[]

/** Names that a person may give to a format, and the reader of each; a shard of C4 is JSON lines. */
const NAMED: Partial<Record<Corpus['format'], Reader>> = {
  ...Object.fromEntries(READERS.map((reader) => [reader.name, reader])),
  c4: jsonLines,
}

export const readerNamed = (format: string): Reader | undefined => NAMED[format as Corpus['format']]

/** The reader of a source, by what it begins with, and by its ending where that leaves a choice. */
export async function readerOf(source: Source, fields: readonly string[]): Promise<Reader> {
  const bytes = await peek(source)
  const whole = bytes.length < 1 << 16
  const head: Head = { bytes, text: decoded(bytes), whole, ending: endingOf(source.name), fields }
  return READERS.find((reader) => reader.fits(head))!
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
  } catch {
    return undefined
  }
}

export { parseField, kindOf, valueAt, type Field } from './field'
export { listFiles } from './listFiles'
export { openSources, type Source } from './source'
export { DOCUMENT } from './text'
export { jsonLineEntries, textEntries }
export type { Entry, Reader }
