import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { badInput, CORPUS_BEGINNING, type Corpus } from '#contract'
import { diskFull, isDiskFull, placeItem } from '../../files'
import { plainText, type Document } from './conversation'
import { lineOf } from './documentLine'
import type { Referred } from './referred'
import { IndexBuilder } from './segments/build'
import { numbers } from './growing'
import { documentHash, fractionOf, heldOutAmong, splitByFraction, splitByPlace, splitOfHashes } from './split'

/** What is known before its documents; the rest, where it is known after them alone, is asked for then. */
type CorpusIdentity = Pick<Corpus, 'id' | 'name' | 'source'>
interface Learnt extends Pick<
  Corpus,
  'format' | 'unreadable' | 'duplicates' | 'nearDuplicates' | 'reference' | 'domain'
> {
  /** Whether its documents are split by their place, and not by what they hold. */
  byPlace?: boolean
}

/** Characters of the sample that lists show. */
const SAMPLE = 240

/** Bytes of text from which on a corpus has an index, and no run tokenizes all of it first. */
const indexedFrom = () => Number(process.env.RETORT_INDEXED ?? 64 << 20)

/**
 * Writes documents to `library/corpora/<id>/documents.jsonl` and describes them. The folder appears under its name
 * only when it is whole; after an error nothing is left.
 *
 * @param referred where they lie, of text that is not copied
 * @param indexed bytes of text from which on it has an index
 * @throws bad-input when there is no document, or none but a held-out one
 */
export async function writeCorpus(
  dataDir: string,
  identity: CorpusIdentity,
  documents: Iterable<Document> | AsyncIterable<Document>,
  learnt: () => Learnt,
  { referred, indexed = indexedFrom() }: { referred?: Referred; indexed?: number } = {},
): Promise<Corpus> {
  const folder = join(dataDir, 'library', 'corpora', identity.id)
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  try {
    const written = await writeDocuments(temporary, documents, identity.source, referred)
    const { fractions, index: builder, ...described } = written
    if (!described.documents) {
      throw badInput('the corpus is empty', {
        file: identity.source,
        expected: 'at least one document with text',
      })
    }
    const { byPlace, ...about } = learnt()
    const split = byPlace ? undefined : splitOfHashes(fractions)
    const heldOutDocuments = heldOutAmong(fractions, split)
    if (described.documents === heldOutDocuments) {
      throw badInput('the corpus has one document, which is held out: nothing is left to train on', {
        file: identity.source,
        expected: 'at least two documents that are not the same',
      })
    }
    const trains = (place: number) =>
      (split ? splitByFraction(fractions[place]!, split) : splitByPlace(place)) === 'train'
    const row: Corpus = {
      ...identity,
      ...about,
      ...described,
      heldOutDocuments,
      ...(split && { split }),
      ...((referred || described.bytes >= indexed) && {
        index: builder.write(temporary, trains, referred?.paths),
      }),
      createdAt: new Date().toISOString(),
    }
    placeItem(folder, row)
    return row
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

async function writeDocuments(
  folder: string,
  documents: Iterable<Document> | AsyncIterable<Document>,
  source: string,
  referred: Referred | undefined,
) {
  const { file: beginning, documents: first } = CORPUS_BEGINNING
  const file = join(folder, referred ? beginning : 'documents.jsonl')
  const hash = createHash('sha256')
  const described = { bytes: 0, documents: 0, sample: '' }
  const fractions = numbers()
  const index = new IndexBuilder()
  let offset = 0
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
      fractions.push(fractionOf(documentHash(document)))
      const length = Buffer.byteLength(line)
      index.add(document, referred?.next() ?? { file: 0, offset, length })
      offset += length
      if (!described.documents) described.sample = text.slice(0, SAMPLE)
      described.documents++
      described.bytes += Buffer.byteLength(text)
      if (!referred || described.documents <= first) yield line
    }
  }
  try {
    await pipeline(lines, createWriteStream(file, { highWaterMark: 1 << 20 }))
  } catch (error) {
    throw isDiskFull(error) ? diskFull(file, described.bytes, error) : error
  }
  return {
    ...described,
    index,
    fractions: fractions.all,
    ...(conversations && { conversations }),
    digest: hash.digest('hex'),
  }
}
