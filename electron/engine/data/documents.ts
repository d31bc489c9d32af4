import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failed, type Corpus, type Document } from '#contract'
import { sha256File } from '../../files'
import { documentOf } from './documentLine'
import { SegmentText } from './segments/text'
import { splitByPlace, splitOf, type Split } from './split'

export type { Split }

/**
 * The documents of a corpus of the library, all or one split, in their order.
 *
 * @throws failed when they are not those that the corpus was imported with
 */
export async function* readDocuments(
  dataDir: string,
  corpus: Pick<Corpus, 'id' | 'name' | 'digest' | 'split' | 'index' | 'reference' | 'domain'>,
  split?: Split,
): AsyncGenerator<Document> {
  if (corpus.index) {
    yield* new SegmentText(dataDir, corpus, corpus.index).all(split)
    return
  }
  const file = join(dataDir, 'library', 'corpora', corpus.id, 'documents.jsonl')
  if ((await sha256File(file)) !== corpus.digest)
    throw failed(
      `the text of corpus "${corpus.name}" has changed since it was imported (${file}); import it again`,
    )
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity })
  let index = 0
  for await (const line of lines) {
    if (!line) continue
    const place = index++
    // Of a split by place most lines need not be read.
    if (split !== undefined && !corpus.split && splitByPlace(place) !== split) continue
    const document = documentOf(line)
    if (split === undefined || splitOf(corpus, document, place) === split) yield document
  }
}
