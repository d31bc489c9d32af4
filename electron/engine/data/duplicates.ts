import { createHash } from 'node:crypto'
import type { Document } from './conversation'

/** A Set holds some 16 million entries: so many stand side by side. */
const SETS = 64

/** Tells documents that were there before, letter by letter, by 52 bits of their SHA-256. */
export class Duplicates {
  count = 0
  private readonly seen = Array.from({ length: SETS }, () => new Set<number>())

  constructor(private readonly drop: boolean) {}

  /** The documents, without those that were there before if they are to be dropped. */
  async *without(documents: AsyncIterable<Document>): AsyncGenerator<Document> {
    for await (const document of documents) {
      const text = typeof document === 'string' ? document : JSON.stringify(document)
      const hash = createHash('sha256').update(text).digest()
      const key = hash.readUIntBE(0, 6) * 16 + (hash[6]! & 15)
      const set = this.seen[hash[7]! % SETS]!
      const known = set.has(key)
      if (known) this.count++
      else set.add(key)
      if (!known || !this.drop) yield document
    }
  }
}
