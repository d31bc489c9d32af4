import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { CORPUS_INDEX, failed } from '#contract'

/** Where one segment lies, and what of it is to train on: a row of the index, a float64 each. */
export interface Segment {
  /** Which file, of a corpus that is referred to; else 0. */
  file: number
  /** Bytes in it. */
  offset: number
  length: number
  /** Its first document, counted in the corpus. */
  first: number
  /** Of a long document, which part; -1 where the segment is whole documents. */
  part: number
  /** Of what is to train on: bytes of text, and documents. */
  trainBytes: number
  trainDocuments: number
  /** Told by `checkOf`, 48 bits. */
  check: number
}

const COLUMNS = [
  'file',
  'offset',
  'length',
  'first',
  'part',
  'trainBytes',
  'trainDocuments',
  'check',
] as const
export const ROW_NUMBERS = COLUMNS.length
const ROW = 8 * ROW_NUMBERS

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** What is held against when a segment is read: of its bytes' SHA-256 and of what its row says. */
export function checkOf(digest: Buffer, segment: Omit<Segment, 'check'>): number {
  const numbers = COLUMNS.slice(0, -1).map((name) => segment[name as keyof typeof segment])
  return sha256Of(Buffer.concat([digest, Buffer.from(numbers.join(' '))])).readUIntBE(0, 6)
}

/** Bytes of a file that is open. @throws failed where it ends before */
export function bytesAt(file: number, offset: number, length: number, what: string): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length;) {
    const read = readSync(file, bytes, at, length - at, offset + at)
    if (!read) throw failed(`${what} ends before byte ${offset + length}`)
    at += read
  }
  return bytes
}

/** @param rows one after the other, numbers in the order of the columns */
export function writeIndex(folder: string, rows: Float64Array): void {
  const file = openSync(join(folder, CORPUS_INDEX), 'w')
  try {
    const bytes = Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength)
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
  } finally {
    closeSync(file)
  }
}

/** The rows of an index, read one by one: it may be larger than what one wants in memory. */
export class IndexFile {
  private readonly file: number

  constructor(private readonly path: string) {
    this.file = openSync(path, 'r')
  }

  at(segment: number): Segment {
    const bytes = bytesAt(this.file, segment * ROW, ROW, this.path)
    return Object.fromEntries(
      COLUMNS.map((name, i) => [name, bytes.readDoubleLE(8 * i)]),
    ) as unknown as Segment
  }

  close(): void {
    closeSync(this.file)
  }
}
