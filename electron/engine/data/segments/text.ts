import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CORPUS_INDEX, failed, type Corpus, type CorpusIndex, type Document } from '#contract'
import { documentOf } from '../documentLine'
import { Reading } from '../reading'
import { splitOf, type Split } from '../split'
import { partsOfLong } from './cut'
import { bytesAt, checkOf, IndexFile, ROW_NUMBERS, sha256Of, type Segment } from './indexFile'

type Indexed = Pick<Corpus, 'id' | 'name' | 'split' | 'reference' | 'domain'>

/** The documents of a corpus that has an index, segment by segment: each is held against it when it is read. */
export class SegmentText {
  readonly count: number
  private readonly folder: string
  private readonly rows: IndexFile
  private readonly files = new Map<string, number>()
  private readonly reading: Reading | undefined

  /** @throws failed where the index is not the one of the row */
  constructor(
    dataDir: string,
    private readonly corpus: Indexed,
    { segments }: CorpusIndex,
  ) {
    this.folder = join(dataDir, 'library', 'corpora', corpus.id)
    this.count = segments
    const { reference, domain } = corpus
    // What could not be read was left out.
    this.reading =
      reference && new Reading({ format: 'auto', field: reference.field, unreadable: 'skip', domain })
    const path = join(this.folder, CORPUS_INDEX)
    const size = statSync(path, { throwIfNoEntry: false })?.size
    if (size !== 8 * ROW_NUMBERS * segments) throw this.changed(path)
    this.rows = new IndexFile(path)
  }

  at(segment: number): Segment {
    return this.rows.at(segment)
  }

  /** All documents, or those of a split, in their order. @throws failed where they are not those that were imported */
  *all(split?: Split): Generator<Document> {
    for (let i = 0; i < this.count; i++) {
      const segment = this.at(i)
      if (segment.part > 0) continue
      for (const [document, own] of this.documentsOf(segment))
        if (split === undefined || own === split) yield document
    }
  }

  /** What of a segment is to train on; of a long document its part. */
  training(i: number): Document[] {
    const segment = this.at(i)
    const documents = this.documentsOf(segment)
      .filter(([, split]) => split === 'train')
      .map(([document]) => document)
    return segment.part < 0 ? documents : documents.map((one) => partsOfLong(one)![segment.part]!)
  }

  close(): void {
    this.rows.close()
    for (const file of this.files.values()) closeSync(file)
    this.files.clear()
  }

  private documentsOf(segment: Segment): [Document, Split][] {
    const { offset, length, first, check } = segment
    const referred = this.corpus.reference?.files[segment.file]
    const path = referred?.path ?? join(this.folder, 'documents.jsonl')
    const bytes = bytesAt(this.opened(path), offset, length, path)
    if (checkOf(sha256Of(bytes), segment) !== check) throw this.changed(path)
    const text = bytes.toString('utf8')
    const documents = referred
      ? this.reading!.documentsIn(text, referred.format, path)
      : text.split('\n').filter(Boolean).map(documentOf)
    return documents.map((document, i) => [document, splitOf(this.corpus, document, first + i)])
  }

  private opened(path: string): number {
    let file = this.files.get(path)
    if (file !== undefined) return file
    if (!existsSync(path)) throw this.changed(path)
    this.files.set(path, (file = openSync(path, 'r')))
    return file
  }

  private changed(path: string): Error {
    return failed(
      `the text of corpus "${this.corpus.name}" has changed since it was imported (${path}); import it again`,
    )
  }
}
