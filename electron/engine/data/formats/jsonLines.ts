import { isRecord } from '#contract'
import { tryJson } from '../../../files'
import { linesOf, readLines } from './lines'
import type { Entry, Head, Reader } from './reader'
import type { Source } from './source'

/** Lines that are looked at. */
const LOOK = 100

export const jsonLines: Reader = { name: 'jsonl', fits, entries }

/** At least half of the first lines are objects; of a first line that is longer than the head, its beginning. */
function fits({ text, whole, ending }: Head): boolean {
  if (text === undefined) return false
  if (ending === '.jsonl' || ending === '.ndjson') return true
  const lines = text.split('\n')
  if (!whole) lines.pop()
  if (!lines.length) return /^\s*\{\s*"/.test(text)
  const looked = lines.filter((line) => line.trim()).slice(0, LOOK)
  const objects = looked.filter((line) => isRecord(tryJson(line)))
  return looked.length > 0 && objects.length * 2 >= looked.length
}

async function* entries(source: Source): AsyncGenerator<Entry> {
  let [number, to] = [0, 0]
  for await (const line of readLines(source)) {
    number++
    const from = to
    to += Buffer.byteLength(line)
    if (line.trim()) yield { ...entryOf(line, `${source.name}:${number}`), lies: { from, to } }
  }
}

/** The same of a text that is there. */
export function* jsonLineEntries(text: string, name: string): Generator<Entry> {
  for (const line of linesOf(text)) if (line.trim()) yield entryOf(line, name)
}

/** One JSON value as a record. */
export function entryOf(text: string, where: string): Entry {
  const record = tryJson(text)
  return record === undefined ? { where, problem: 'it is not JSON' } : { where, record }
}
