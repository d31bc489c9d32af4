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
import { setImmediate } from 'node:timers/promises'
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
  const records: T[] = []
  const lines = readLines(path, reading)
  for (;;) {
    const { done, value } = lines.next()
    if (done) return { records, torn: value }
    records.push(value)
  }
}

/** Lines that are read before whoever else waits has a turn: some milliseconds' worth. */
const TURN = 500

/**
 * Reads a log as `readJsonLines` does and gives each record away; whoever else the process serves has a turn in between.
 */
export async function eachJsonLine<T>(
  path: string,
  reading: JsonLinesReading<T>,
  take: (record: T) => void,
): Promise<void> {
  let read = 0
  for (const record of readLines(path, reading)) {
    take(record)
    if (++read % TURN === 0) await setImmediate()
  }
}

/** @returns whether a last line was torn */
function* readLines<T>(path: string, reading: JsonLinesReading<T>): Generator<T, boolean> {
  if (!existsSync(path)) return false
  const text = readFileSync(path, 'utf8')
  const whole = text.lastIndexOf('\n') + 1
  for (let at = 0, number = 1, end: number; at < whole; at = end + 1, number++) {
    end = text.indexOf('\n', at)
    if (end === at) continue
    const where = `${path}: line ${number}`
    let record: T
    try {
      const value = parseJson(text.slice(at, end), where)
      record = reading.parse ? reading.parse(value, where) : (value as T)
    } catch (error) {
      if (!reading.damaged || !(error instanceof RetortError)) throw error
      reading.damaged(error)
      continue
    }
    yield record
  }
  return whole < text.length
}

/** Keeps only the records that `keep` accepts, atomically. A torn last line goes too, and what is damaged. */
export function filterJsonLines(path: string, keep: (record: unknown) => boolean): void {
  writeJsonLinesAtomic(path, readJsonLines(path, { damaged: () => {} }).records.filter(keep))
}

/** A whole log at once. */
export function writeJsonLinesAtomic(path: string, records: readonly unknown[]): void {
  writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}
