import { plainText, type Document } from './conversation'
import { NearDuplicates } from './nearDuplicates'
import { documentHash } from './split'

/** A Set holds some 16 million entries: so many stand side by side. */
const SETS = 64

/** Tells documents that were there before: letter by letter, by 52 bits of their SHA-256, or nearly. */
export class Duplicates {
  count = 0
  nearly = 0
  private readonly seen = Array.from({ length: SETS }, () => new Set<number>())
  private readonly near = new NearDuplicates()

  constructor(private readonly drop: { exact: boolean; near: boolean }) {}

  /** The documents, without those that were there before if they are to be dropped. */
  async *without(documents: AsyncIterable<Document>): AsyncGenerator<Document> {
    for await (const document of documents) {
      if (this.isKnown(documentHash(document))) {
        this.count++
        if (!this.drop.exact) yield document
      } else if (this.near.has(plainText(document))) {
        this.nearly++
        if (!this.drop.near) yield document
      } else yield document
    }
  }

  private isKnown(hash: Buffer): boolean {
    const key = hash.readUIntBE(0, 6) * 16 + (hash[6]! & 15)
    const set = this.seen[hash[7]! % SETS]!
    if (set.has(key)) return true
    set.add(key)
    return false
  }
}
