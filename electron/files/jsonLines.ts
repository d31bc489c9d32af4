import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeFileAtomic } from './atomic'

/** An append-only log, one JSON object a line. `append` returns once the line is with the operating system. */
export class JsonLinesWriter {
  private readonly file: number

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.file = openSync(path, 'a')
  }

  /** One write call a record: a killed process leaves whole lines, or one torn last line. */
  append(record: unknown): void {
    writeSync(this.file, `${JSON.stringify(record)}\n`)
  }

  sync(): void {
    fsyncSync(this.file)
  }

  close(): void {
    closeSync(this.file)
  }
}

export interface JsonLines {
  records: unknown[]
  /** Whether a last line without its end was dropped. */
  torn: boolean
}

/** Reads a log; a torn last line is dropped and told. A missing file is an empty log. */
export function readJsonLines(path: string): JsonLines {
  if (!existsSync(path)) return { records: [], torn: false }
  const text = readFileSync(path, 'utf8')
  const end = text.lastIndexOf('\n') + 1
  const records: unknown[] = []
  for (const line of text.slice(0, end).split('\n')) {
    if (line) records.push(JSON.parse(line))
  }
  return { records, torn: end < text.length }
}

/** Keeps only the records that `keep` accepts, atomically. A torn last line goes too. */
export function filterJsonLines(path: string, keep: (record: unknown) => boolean): void {
  writeJsonLinesAtomic(path, readJsonLines(path).records.filter(keep))
}

/** A whole log at once. */
export function writeJsonLinesAtomic(path: string, records: readonly unknown[]): void {
  writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}
