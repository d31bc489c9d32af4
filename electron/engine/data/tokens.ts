import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** Token ids: in memory, as an Int32Array has them, or in a file that is read by windows. */
export interface TokenIds {
  readonly length: number
  subarray(from: number, to: number): Int32Array
}

/** 1 where a token counts as a target, for each of some ids. */
export interface TokenMask {
  subarray(from: number, to: number): Uint8Array
}

/** Tokens that follow each other, at most a context and the one after it; 1 where one counts, absent where all do. */
export interface Sequence {
  ids: Int32Array
  mask?: Uint8Array
  /** Where it begins: in its source's ids, or in its segment's. */
  start: number
}

/** Tokens looked at together where all are: 4 MB. */
const CHUNK = 1 << 20

/** All of some ids or of what is said of them, a part at a time, each with where it begins. */
export function* chunksOf<T>(
  values: { subarray(from: number, to: number): T },
  length: number,
): Generator<[T, number]> {
  for (let at = 0; at < length; at += CHUNK) yield [values.subarray(at, Math.min(length, at + CHUNK)), at]
}

/** Closes what nobody reads any more; else the process' end does. */
const closing = new FinalizationRegistry<number>((file) => closeSync(file))

/** 32-bit words of a file, from a place in it on. It stays open, so that it may be deleted meanwhile. */
export class WordsInFile {
  readonly length: number
  private readonly file: number

  constructor(
    path: string,
    private readonly header: number,
  ) {
    this.file = openSync(path, 'r')
    closing.register(this, this.file)
    this.length = Math.max(0, Math.floor((fstatSync(this.file).size - header) / 4))
  }

  subarray(from: number, to: number): Int32Array {
    const words = new Int32Array(Math.max(0, Math.min(to, this.length) - from))
    const bytes = Buffer.from(words.buffer)
    for (let at = 0; at < bytes.length;) {
      const read = readSync(this.file, bytes, at, bytes.length - at, this.header + 4 * from + at)
      if (!read) throw new Error('a file of tokens has become shorter')
      at += read
    }
    return words
  }

  close(): void {
    closing.unregister(this)
    closeSync(this.file)
  }
}
