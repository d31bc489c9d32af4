import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { badInput, type Corpus } from '#contract'
import { diskFull, isDiskFull, placeItem } from '../../files'
import { plainText, type Document } from './conversation'
import { isHeldOut, lineOf } from './documents'

/** What is known before its documents; the rest, where it is known after them alone, is asked for then. */
type CorpusIdentity = Pick<Corpus, 'id' | 'name' | 'source'>
type Learnt = Pick<Corpus, 'format' | 'unreadable' | 'duplicates'>

/** Characters of the sample that lists show. */
const SAMPLE = 240

/**
 * Writes documents to `library/corpora/<id>/documents.jsonl` and describes them. The folder appears under its name
 * only when it is whole; after an error nothing is left.
 *
 * @throws bad-input when there is no document, or none but a held-out one
 */
export async function writeCorpus(
  dataDir: string,
  identity: CorpusIdentity,
  documents: Iterable<Document> | AsyncIterable<Document>,
  learnt: () => Learnt,
): Promise<Corpus> {
  const folder = join(dataDir, 'library', 'corpora', identity.id)
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  try {
    const described = await writeDocuments(join(temporary, 'documents.jsonl'), documents, identity.source)
    if (!described.documents) {
      throw badInput('the corpus is empty', {
        file: identity.source,
        expected: 'at least one document with text',
      })
    }
    if (described.documents === described.heldOutDocuments) {
      throw badInput('the corpus has one document, which is held out: nothing is left to train on', {
        file: identity.source,
        expected: 'at least two documents',
      })
    }
    const row: Corpus = { ...identity, ...learnt(), ...described, createdAt: new Date().toISOString() }
    placeItem(folder, row)
    return row
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

async function writeDocuments(
  file: string,
  documents: Iterable<Document> | AsyncIterable<Document>,
  source: string,
) {
  const hash = createHash('sha256')
  const described = { bytes: 0, documents: 0, heldOutDocuments: 0, sample: '' }
  let conversations: boolean | undefined
  async function* lines(): AsyncGenerator<string> {
    for await (const document of documents) {
      conversations ??= typeof document !== 'string'
      if (conversations !== (typeof document !== 'string')) {
        throw badInput('it holds both conversations and text', {
          file: source,
          expected: 'one of the two in a corpus',
        })
      }
      const text = plainText(document)
      const line = `${lineOf(document)}\n`
      hash.update(line)
      if (isHeldOut(described.documents)) described.heldOutDocuments++
      if (!described.documents) described.sample = text.slice(0, SAMPLE)
      described.documents++
      described.bytes += Buffer.byteLength(text)
      yield line
    }
  }
  try {
    await pipeline(lines, createWriteStream(file, { highWaterMark: 1 << 20 }))
  } catch (error) {
    throw isDiskFull(error) ? diskFull(file, described.bytes, error) : error
  }
  return { ...described, ...(conversations && { conversations }), digest: hash.digest('hex') }
}
