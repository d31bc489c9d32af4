import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { RetortError } from '#contract'
import { writeFileAtomic } from './atomic'
import { parseJson } from './json'
import { withRoom } from './room'

/**
 * An append-only log, one JSON object a line, of one writer. `append` returns once the line is with the operating
 * system.
 */
export class JsonLinesWriter {
  private readonly file: number
  /** Bytes of whole lines. */
  private size: number

  constructor(private readonly path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.file = openSync(path, 'a')
    this.size = fstatSync(this.file).size
  }

  /**
   * One write call a record: a killed process leaves whole lines, or one torn last line.
   *
   * @throws failed when the disk is full; nothing of the line stays then
   */
  append(record: unknown): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`)
    try {
      withRoom(this.path, line.length, () => {
        for (let at = 0; at < line.length;) at += writeSync(this.file, line, at)
      })
    } catch (error) {
      if (fstatSync(this.file).size > this.size) ftruncateSync(this.file, this.size)
      throw error
    }
    this.size += line.length
  }

  /** @throws failed when the disk is full */
  sync(): void {
    withRoom(this.path, 0, () => fsyncSync(this.file))
  }

  close(): void {
    closeSync(this.file)
  }
}

export interface JsonLines<T> {
  records: T[]
  /** Whether a last line without its end was dropped. */
  torn: boolean
}

export interface JsonLinesReading<T> {
  /** Parses a line; `where` is for its message. Without it the line is taken as it is. */
  parse?(value: unknown, where: string): T
  /** Hears of every line that is damaged, which is then left out. */
  damaged?(problem: RetortError): void
}

/**
 * Reads a log; a torn last line is dropped and told. A missing file is an empty log.
 *
 * @throws bad-input naming file and line of the first damaged line, where nobody hears of it
 */
export function readJsonLines<T = unknown>(path: string, reading: JsonLinesReading<T> = {}): JsonLines<T> {
  if (!existsSync(path)) return { records: [], torn: false }
  const text = readFileSync(path, 'utf8')
  const end = text.lastIndexOf('\n') + 1
  const records: T[] = []
  for (const [i, line] of text.slice(0, end).split('\n').entries()) {
    if (!line) continue
    const where = `${path}: line ${i + 1}`
    try {
      const value = parseJson(line, where)
      records.push(reading.parse ? reading.parse(value, where) : (value as T))
    } catch (error) {
      if (!reading.damaged || !(error instanceof RetortError)) throw error
      reading.damaged(error)
    }
  }
  return { records, torn: end < text.length }
}

/** Keeps only the records that `keep` accepts, atomically. A torn last line goes too, and what is damaged. */
export function filterJsonLines(path: string, keep: (record: unknown) => boolean): void {
  writeJsonLinesAtomic(path, readJsonLines(path, { damaged: () => {} }).records.filter(keep))
}

/** A whole log at once. */
export function writeJsonLinesAtomic(path: string, records: readonly unknown[]): void {
  writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}
