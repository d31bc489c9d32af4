import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { badInput, referredFormats, type CorpusReference, type Job } from '#contract'
import type { Reader, Source } from './formats'
import type { Span } from './formats/reader'
import type { Lying } from './segments/build'

/** Where the documents of an import lie, whose text stays where it is. */
export class Referred {
  private readonly files: CorpusReference['files'] = []
  private readonly waiting: Lying[] = []
  private ahead = 0

  /** @throws bad-input where documents are to be left out that would be there when the files are read again */
  constructor(
    private readonly job: Pick<
      Extract<Job, { kind: 'import-corpus' }>,
      'duplicates' | 'nearDuplicates' | 'field'
    >,
  ) {
    if (job.duplicates === 'drop' || job.nearDuplicates === 'drop') {
      throw badInput('of text that stays where it is no document can be dropped', {
        field: 'reference',
        expected: 'an import that copies it, or one that keeps duplicates',
      })
    }
  }

  get reference(): CorpusReference {
    return { field: this.job.field, files: this.files }
  }

  get paths(): string[] {
    return this.files.map(({ path }) => path)
  }

  /** Notes where the document lies that comes next. @throws bad-input for a file that cannot be read at any place */
  add({ file: path, name }: Source, format: Reader['name'], lies: Span | undefined): void {
    const known = referredFormats.find((one) => one === format)
    if (!path || !lies || !known) {
      throw badInput('its text cannot stay where it is: only that of plain text and of JSON lines can', {
        file: name,
        expected: 'such files, not compressed, or an import that copies the text',
      })
    }
    if (this.files.at(-1)?.path !== path) {
      this.files.push({ path, format: known, bytes: statSync(path).size })
      this.ahead = markLength(path)
    }
    const { from, to } = lies
    this.waiting.push({ file: this.files.length - 1, offset: from + this.ahead, length: to - from })
  }

  /** The place of the document that is written now. */
  next(): Lying {
    const place = this.waiting.shift()
    if (!place)
      throw badInput('a text of one document cannot stay where it is', {
        field: 'reference',
        expected: 'an import that copies it',
      })
    return place
  }
}

/** Bytes of a byte-order mark, which readers leave out. */
function markLength(path: string): number {
  const file = openSync(path, 'r')
  const head = Buffer.alloc(3)
  readSync(file, head, 0, 3, 0)
  closeSync(file)
  return head.equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0
}
