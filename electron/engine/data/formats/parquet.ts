import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { decompress } from 'fzstd'
import {
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type ColumnMetaData,
  type Compressors,
} from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { compressors } from 'hyparquet-compressors'
import { badInput, RetortError } from '#contract'
import { columnsToRead } from './columns'
import type { Entry, Reader } from './reader'
import type { Source } from './source'

/** Apache Parquet, flat columns and nested ones, row group by row group. */
export const parquet: Reader = {
  name: 'parquet',
  fits: ({ bytes }) => Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'PAR1',
  entries,
}

/** Rows of a group, values of a column of it, and its bytes unpacked: a group is read at once. */
const MOST_ROWS = 2 ** 26
const MOST_BYTES = 2 ** 30

async function* entries({ name, file }: Source, fields: readonly string[]): AsyncGenerator<Entry> {
  if (!file)
    throw refused(
      name,
      'it is compressed, or in an archive',
      'the file itself: Parquet compresses on its own',
    )
  const handle = openSync(file, 'r')
  try {
    const buffer = bufferOf(handle)
    const metadata = await within(name, () => parquetMetadataAsync(buffer, { geoparquet: false }))
    const roots = metadata.schema.length ? childrenOf(metadata.schema) : []
    const chosen = columnsToRead(roots, fields, name)
    let row = 0
    for (const [i, group] of metadata.row_groups.entries()) {
      const rows = Number(group.num_rows)
      if (rows > MOST_ROWS)
        throw refused(name, `row group ${i} announces ${rows} rows`, `at most ${MOST_ROWS}`)
      let bytes = 0
      for (const { meta_data: column } of group.columns) {
        if (!column || (fields.length && !chosen.includes(column.path_in_schema[0]!))) continue
        bytes += await within(name, () => checkPages(buffer, column, name))
        if (bytes > MOST_BYTES)
          throw refused(name, `row group ${i} unpacks to more than ${MOST_BYTES} bytes`, 'smaller row groups')
      }
      const records = await within(name, () =>
        parquetReadObjects({
          file: buffer,
          metadata,
          ...(fields.length && { columns: [...chosen] }),
          rowStart: row,
          rowEnd: row + rows,
          compressors: checked,
          geoparquet: false,
          parsers: { stringFromBytes },
        }),
      )
      if (records.length !== rows)
        throw refused(name, `row group ${i} has ${records.length} of ${rows} rows`, 'a whole Parquet file')
      for (const [at, record] of records.entries()) yield { where: `${name}, row ${row + at + 1}`, record }
      row += rows
    }
  } finally {
    closeSync(handle)
  }
}

/** Names of the columns: what stands directly under the root. */
function childrenOf(schema: { name: string; num_children?: number }[]): string[] {
  const names: string[] = []
  const skip = (at: number): number => {
    let next = at + 1
    for (let i = 0; i < (schema[at]!.num_children ?? 0) && next < schema.length; i++) next = skip(next)
    return next
  }
  for (let at = 1; at < schema.length; at = skip(at)) names.push(schema[at]!.name)
  return names
}

/** Reads that never go beyond the file, so that nothing is allocated for what is not there. */
function bufferOf(handle: number): AsyncBuffer {
  const byteLength = fstatSync(handle).size
  return {
    byteLength,
    slice(start, end = byteLength) {
      if (start < 0 || end < start || end > byteLength) throw new Error('it points outside the file')
      const bytes = Buffer.alloc(end - start)
      readSync(handle, bytes, 0, bytes.length, start)
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    },
  }
}

/**
 * Goes from page to page of a column, by their headers alone.
 *
 * @returns bytes that its pages unpack to
 * @throws bad-input when they hold more than the column announces
 */
async function checkPages(buffer: AsyncBuffer, column: ColumnMetaData, name: string): Promise<number> {
  const dictionary = Number(column.dictionary_page_offset ?? 0)
  const start = dictionary || Number(column.data_page_offset)
  const bytes = await buffer.slice(start, start + Number(column.total_compressed_size))
  const reader = { view: new DataView(bytes), offset: 0 }
  const announced = Number(column.num_values)
  const refuse = (why: string) =>
    refused(name, `column "${column.path_in_schema.join('.')}" ${why}`, 'a whole Parquet file')
  if (announced > MOST_ROWS) throw refuse(`announces ${announced} values`)
  let values = 0
  let unpacked = 0
  while (reader.offset < bytes.byteLength - 1 && values < announced) {
    const header = parquetHeader(reader)
    const size = header.uncompressed_page_size
    const packed = header.compressed_page_size
    if (!(packed >= 0) || !(size >= 0) || reader.offset + packed > bytes.byteLength)
      throw refuse('has a page that goes beyond it')
    unpacked += size
    if (unpacked > MOST_BYTES) throw refuse(`unpacks to more than ${MOST_BYTES} bytes`)
    const page = header.data_page_header ?? header.data_page_header_v2
    if (page) {
      if (!(page.num_values >= 0)) throw refuse('has a page without values')
      values += page.num_values
    } else if (header.dictionary_page_header && !(header.dictionary_page_header.num_values <= 8 * size))
      throw refuse('has a dictionary that is longer than its page')
    reader.offset += packed
  }
  if (values !== announced) throw refuse(`has ${values} of ${announced} values`)
  return unpacked
}

/** The library's, into memory of the size that `checkPages` let pass. */
const checked: Compressors = {
  ...compressors,
  ZSTD: (input, length) => decompress(input, new Uint8Array(length)),
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const stringFromBytes = (bytes: Uint8Array | undefined) => bytes && decoder.decode(bytes)

async function within<T>(name: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof RetortError) throw error
    throw refused(name, 'it is damaged or cut off', 'a whole Parquet file', error)
  }
}

const refused = (file: string, why: string, expected: string, cause?: unknown) =>
  Object.assign(badInput(`the Parquet file cannot be read: ${why}`, { file, expected }), { cause })
