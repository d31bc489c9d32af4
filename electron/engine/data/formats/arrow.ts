import type { Data, RecordBatch } from 'apache-arrow'
import { badInput, RetortError } from '#contract'
import { columnsToRead } from './columns'
import type { Entry, Reader } from './reader'
import type { Source } from './source'

/** Apache Arrow, as files and as the streams that `datasets` keeps in its folders, batch by batch. */
export const arrow: Reader = { name: 'arrow', fits, entries }

/** Rows of a batch. */
const MOST_ROWS = 2 ** 24

/** Either the magic of a file, or a continuation mark with the length of a schema's message. */
function fits({ bytes }: { bytes: Uint8Array }): boolean {
  const head = Buffer.from(bytes.subarray(0, 8))
  if (head.toString('latin1', 0, 6) === 'ARROW1') return true
  return head.length === 8 && head.readUInt32LE(0) === 0xffffffff && head.readUInt32LE(4) < 1 << 24
}

async function* entries({ name, bytes }: Source, fields: readonly string[]): AsyncGenerator<Entry> {
  const { RecordBatchReader } = await import('apache-arrow')
  const { arrowMessages } = await import('./arrowMessages')
  let row = 0
  try {
    const reader = await RecordBatchReader.from(arrowMessages(bytes()))
    await reader.open()
    const columns = reader.schema.fields.map((field) => String(field.name))
    const chosen = columnsToRead(columns, fields, name)
    for await (const batch of reader) {
      if (batch.numRows > MOST_ROWS)
        throw refused(name, `a batch announces ${batch.numRows} rows`, `at most ${MOST_ROWS}`)
      check(batch, chosen, name)
      const vectors = chosen.map((column) => [column, batch.getChild(column)!] as const)
      for (let i = 0; i < batch.numRows; i++) {
        const record = Object.fromEntries(vectors.map(([column, vector]) => [column, plain(vector.get(i))]))
        yield { where: `${name}, row ${++row}`, record }
      }
    }
  } catch (error) {
    if (error instanceof RetortError) throw error
    const { message } = error as Error
    throw /codec not found/.test(message)
      ? refused(
          name,
          'its buffers are compressed',
          'uncompressed buffers, as datasets writes them, or Parquet',
        )
      : Object.assign(refused(name, 'it is damaged or cut off', 'a whole Arrow file or stream'), {
          cause: error,
        })
  }
}

/** Rows and lists as objects and arrays. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const own = 'toJSON' in value && typeof value.toJSON === 'function' ? (value.toJSON() as unknown) : value
  if (Array.isArray(own)) return own.map(plain)
  if (typeof own !== 'object' || own === null) return own
  return Object.fromEntries(Object.entries(own).map(([key, inner]) => [key, plain(inner)]))
}

/** Lengths that a batch announces, held against the buffers that are there. */
function check(batch: RecordBatch, columns: readonly string[], name: string): void {
  for (const column of columns) {
    const vector = batch.getChild(column)
    for (const data of vector?.data ?? []) checkData(data, column, name)
    if (!vector || vector.length !== batch.numRows)
      throw refused(name, `column "${column}" is not as long as its batch`, 'a whole Arrow file')
  }
}

function checkData(data: Data, column: string, name: string): void {
  const { valueOffsets: offsets, length } = data as {
    valueOffsets?: ArrayLike<number | bigint>
    length: number
  }
  if (offsets?.length && 'values' in data) {
    const held = data.children[0]?.length ?? (data.values as { length?: number } | undefined)?.length ?? 0
    let last = 0
    for (let i = 0; i <= length; i++) {
      const offset = Number(offsets[i] ?? -1)
      if (offset < last || offset > held)
        throw refused(name, `column "${column}" points outside its values`, 'a whole Arrow file')
      last = offset
    }
  }
  for (const child of data.children) checkData(child, column, name)
}

const refused = (file: string, why: string, expected: string) =>
  badInput(`the Arrow data cannot be read: ${why}`, { file, expected })
