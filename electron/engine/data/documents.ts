import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failed, plainText, type Corpus, type Document, type Turn } from '#contract'
import { sha256File } from '../../files'
import { splitByPlace, splitOf, type Split } from './split'

export type { Split }

/** A document as a line of `documents.jsonl`; of a conversation the turns, and its text for whoever shows it. */
export function lineOf(document: Document): string {
  return JSON.stringify({
    text: plainText(document),
    ...(typeof document !== 'string' && { turns: document }),
  })
}

function documentOf(line: string): Document {
  const { text, turns } = JSON.parse(line) as { text: string; turns?: Turn[] }
  return turns ?? text
}

/**
 * The documents of a corpus of the library, all or one split, in their order.
 *
 * @throws failed when they are not those that the corpus was imported with
 */
export async function* readDocuments(
  dataDir: string,
  corpus: Pick<Corpus, 'id' | 'name' | 'digest' | 'split'>,
  split?: Split,
): AsyncGenerator<Document> {
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
