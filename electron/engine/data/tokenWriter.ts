import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { syncFolder, withRoom, writeJsonAtomic } from '../../files'
import { freeBase, takeLeftOver } from './leftOver'
import { chunksOf, WordsInFile } from './tokens'

/** Tokens after which what was written is noted: what a kill takes at most. */
const NOTED = 1 << 21

const state = z.object({
  documents: z.number().int().nonnegative(),
  tokens: z.number().int().nonnegative(),
  bytes: z.number().nonnegative(),
})
type State = z.output<typeof state>

/**
 * Writes a file of tokens in parts, so that it need not be held in memory, and goes on where one that was killed had
 * come to. Beside `<file>` lie meanwhile `<file>.<machine>.<number>.part` (header, ids), `.note` (who writes it) and `.json`
 * (what of it is good).
 */
export class TokenWriter {
  /** What is written so far. */
  readonly done: State = { documents: 0, tokens: 0, bytes: 0 }
  private readonly hash = createHash('sha256')
  private readonly buffer = new Int32Array(NOTED)
  private filled = 0
  private noted = 0
  private readonly base: string
  private readonly file: number

  constructor(
    private readonly path: string,
    private readonly header: number,
  ) {
    mkdirSync(dirname(path), { recursive: true })
    const left = takeLeftOver(path)
    this.base = left ?? freeBase(path)
    const good = goodOf(this.base, header)
    this.file = openSync(`${this.base}.part`, good ? 'r+' : 'w+')
    if (good) this.goOn(good)
    else this.write(Buffer.alloc(header), 0)
  }

  /** Tokens so far, with those that are not in the file yet. */
  get length(): number {
    return this.done.tokens + this.filled
  }

  /** A document's. */
  add(ids: Int32Array, bytes: number): void {
    for (let at = 0; at < ids.length;) {
      const part = ids.subarray(at, at + NOTED - this.filled)
      this.buffer.set(part, this.filled)
      this.filled += part.length
      at += part.length
      if (this.filled === NOTED) this.flush()
    }
    this.done.documents++
    this.done.bytes += bytes
    if (this.done.tokens > this.noted + NOTED) this.note()
  }

  /** Puts the file in its place. @param headerOf is given the SHA-256 of the ids */
  finish(headerOf: (done: State, digest: string) => Buffer): void {
    this.flush()
    this.write(headerOf(this.done, this.hash.digest('hex')), 0)
    fsyncSync(this.file)
    closeSync(this.file)
    renameSync(`${this.base}.part`, this.path)
    syncFolder(dirname(this.path))
    this.removeNotes()
  }

  /** After what cannot be gone on from: nothing stays. */
  abandon(): void {
    closeSync(this.file)
    rmSync(`${this.base}.part`, { force: true })
    this.removeNotes()
  }

  private goOn(good: State): void {
    ftruncateSync(this.file, this.header + 4 * good.tokens)
    const words = new WordsInFile(`${this.base}.part`, this.header)
    for (const [part] of chunksOf(words, words.length)) this.hash.update(bytesOf(part))
    words.close()
    Object.assign(this.done, good)
    this.noted = good.tokens
  }

  private flush(): void {
    const bytes = bytesOf(this.buffer.subarray(0, this.filled))
    this.write(bytes, this.header + 4 * this.done.tokens)
    this.hash.update(bytes)
    this.done.tokens += this.filled
    this.filled = 0
  }

  /** Between documents: of what is noted every document is whole. */
  private note(): void {
    this.flush()
    fsyncSync(this.file)
    writeJsonAtomic(`${this.base}.json`, this.done)
    this.noted = this.done.tokens
  }

  private write(bytes: Uint8Array, at: number): void {
    withRoom(this.path, bytes.length, () => {
      for (let from = 0; from < bytes.length;)
        from += writeSync(this.file, bytes, from, bytes.length - from, at + from)
    })
  }

  private removeNotes(): void {
    for (const ending of ['json', 'note']) rmSync(`${this.base}.${ending}`, { force: true })
  }
}

const bytesOf = (ids: Int32Array) => Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)

/** What of a left-over is good. */
function goodOf(base: string, header: number): State | undefined {
  try {
    const good = state.parse(JSON.parse(readFileSync(`${base}.json`, 'utf8')))
    return statSync(`${base}.part`).size >= header + 4 * good.tokens ? good : undefined
  } catch {
    return undefined
  }
}
