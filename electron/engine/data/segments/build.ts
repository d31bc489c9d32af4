import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { plainText, type CorpusIndex, type Document } from '#contract'
import { partsOfLong, SEGMENT } from './cut'
import { numbers } from '../growing'
import { bytesAt, checkOf, ROW_NUMBERS, sha256Of, writeIndex } from './indexFile'

/** Where a document lies: bytes of a file. */
export interface Lying {
  file: number
  offset: number
  length: number
}

/** Makes the index of a corpus while its documents are read. */
export class IndexBuilder {
  /** Of each segment: file, offset, length, first document, documents, part, bytes of text where it is a part. */
  private readonly segments = numbers()
  /** Bytes of each document's text. */
  private readonly sizes = numbers()
  private open: { file: number; offset: number; end: number; first: number; bytes: number } | undefined

  add(document: Document, { file, offset, length }: Lying): void {
    const place = this.sizes.length
    const bytes = Buffer.byteLength(plainText(document))
    const parts = partsOfLong(document)
    if (parts || this.open?.file !== file) this.close()
    this.sizes.push(bytes)
    if (parts) {
      for (const [i, part] of parts.entries())
        this.segments.push(file, offset, length, place, 1, i, Buffer.byteLength(part))
      return
    }
    this.open ??= { file, offset, end: offset, first: place, bytes: 0 }
    this.open.end = offset + length
    this.open.bytes += bytes
    if (this.open.bytes >= SEGMENT) this.close()
  }

  /**
   * Writes the index to a folder.
   *
   * @param trains whether a document is to train on
   * @param files where the documents lie
   */
  write(
    folder: string,
    trains: (document: number) => boolean,
    files: readonly string[] = [join(folder, 'documents.jsonl')],
  ): CorpusIndex {
    this.close()
    const found = { segments: this.segments.length / OWN, documents: 0, bytes: 0 }
    const cuts = createHash('sha256')
    const rows = new Float64Array(found.segments * ROW_NUMBERS)
    let [open, handle] = [-1, -1]
    let digest: Buffer = Buffer.alloc(0)
    for (let i = 0; i < found.segments; i++) {
      const own = this.segments.all.subarray(i * OWN, (i + 1) * OWN)
      const [file, offset, length, first, count, part, ofPart] = own as unknown as [
        ...[number, number, number, number, number, number, number],
      ]
      if (file !== open) {
        if (handle >= 0) closeSync(handle)
        handle = openSync(files[file]!, 'r')
        open = file
      }
      let [trainBytes, trainDocuments] = [0, 0]
      for (let document = first; document < first + count; document++) {
        if (!trains(document)) continue
        trainDocuments++
        trainBytes += part >= 0 ? ofPart : this.sizes.all[document]!
      }
      // The parts of a document have the same bytes.
      if (part <= 0) digest = sha256Of(bytesAt(handle, offset, length, files[file]!))
      const row = { file, offset, length, first, part, trainBytes, trainDocuments }
      rows.set([...Object.values(row), checkOf(digest, row)], i * ROW_NUMBERS)
      cuts.update(`${first} ${part};`)
      found.documents += trainDocuments
      found.bytes += trainBytes
    }
    if (handle >= 0) closeSync(handle)
    writeIndex(folder, rows)
    return { ...found, digest: cuts.digest('hex') }
  }

  private close(): void {
    if (!this.open) return
    const { file, offset, end, first } = this.open
    this.segments.push(file, offset, end - offset, first, this.sizes.length - first, -1, 0)
    this.open = undefined
  }
}

/** Numbers that are noted of a segment. */
const OWN = 7
