import {
  closeSync,
  existsSync,
  ftruncateSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { withRoom } from '../../../files'
import { freeBase, takeLeftOver } from '../leftOver'
import { bytesAt } from './indexFile'

/** Before each segment's words: this, its number, how many words, their CRC-32. */
const MAGIC = 0x52545347
const HEADER = 16

interface Record {
  file: number
  /** Bytes, of its words. */
  at: number
  words: number
  crc: number
}

/**
 * The tokens of a corpus' segments as far as they were made, in the order in which they were needed: files that are only
 * written on, one for each process or thread that writes at a time. What was written stays whatever is killed; what a
 * kill tore is left out. Whoever comes later reads all of them and goes on with one whose writer is gone.
 */
export class TokenLog {
  private readonly records = new Map<number, Record>()
  private readonly files: number[] = []
  private own: { base: string; file: number; end: number } | undefined

  /** @param path what the files' names begin with */
  constructor(private readonly path: string) {
    mkdirSync(dirname(path), { recursive: true })
    const begin = `${basename(path)}.`
    for (const name of readdirSync(dirname(path)))
      if (name.startsWith(begin) && name.endsWith('.log')) this.scan(openSync(join(dirname(path), name), 'r'))
  }

  has(segment: number): boolean {
    return this.records.has(segment)
  }

  /** @returns undefined where they were not made, or are damaged */
  read(segment: number): Int32Array | undefined {
    const record = this.records.get(segment)
    if (!record) return undefined
    const words = new Int32Array(record.words)
    const bytes = Buffer.from(words.buffer)
    const read = readSync(this.files[record.file]!, bytes, 0, bytes.length, record.at)
    if (read === bytes.length && crc32(bytes) === record.crc) return words
    this.records.delete(segment)
    return undefined
  }

  add(segment: number, words: Int32Array): void {
    const own = (this.own ??= this.begin())
    const payload = Buffer.from(words.buffer, words.byteOffset, words.byteLength)
    const crc = crc32(payload)
    const header = Buffer.alloc(HEADER)
    for (const [i, value] of [MAGIC, segment, words.length, crc].entries()) header.writeUInt32LE(value, 4 * i)
    const bytes = Buffer.concat([header, payload])
    withRoom(this.path, bytes.length, () => {
      for (let at = 0; at < bytes.length;)
        at += writeSync(this.files[own.file]!, bytes, at, bytes.length - at, own.end + at)
    })
    this.records.set(segment, { file: own.file, at: own.end + HEADER, words: words.length, crc })
    own.end += bytes.length
  }

  close(): void {
    for (const file of this.files) closeSync(file)
    if (this.own) rmSync(`${this.own.base}.note`, { force: true })
  }

  private begin(): NonNullable<typeof this.own> {
    const base = takeLeftOver(this.path) ?? freeBase(this.path)
    const log = `${base}.log`
    const file = openSync(log, existsSync(log) ? 'r+' : 'w+')
    // Of a torn end nothing can be read that is written behind it.
    const end = this.scan(file)
    ftruncateSync(file, end)
    return { base, file: this.files.length - 1, end }
  }

  /** Notes what is in a file. @returns where the last whole record ends */
  private scan(file: number): number {
    const at = this.files.push(file) - 1
    const size = fstatSync(file).size
    let end = 0
    while (end + HEADER <= size) {
      const header = bytesAt(file, end, HEADER, this.path)
      const [magic, segment, words, crc] = [0, 4, 8, 12].map((place) => header.readUInt32LE(place)) as [
        number,
        number,
        number,
        number,
      ]
      const next = end + HEADER + 4 * words
      if (magic !== MAGIC || next > size) break
      this.records.set(segment, { file: at, at: end + HEADER, words, crc })
      end = next
    }
    return end
  }
}
