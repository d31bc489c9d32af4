import { statSync } from 'node:fs'
import { badInput, taskFormats, type Corpus, type Job, type TaskFormat } from '#contract'
import { renderExample } from '../evaluate/tasks/example'
import { readTask } from '../evaluate/tasks/readers'
import type { Progress } from '../progress'
import type { Document } from './conversation'
import { Duplicates } from './duplicates'
import { DOCUMENT, listFiles } from './formats'
import { Reading } from './reading'
import { Referred } from './referred'
import { writeCorpus } from './writeCorpus'

type ImportCorpusJob = Extract<Job, { kind: 'import-corpus' }>

/**
 * Brings text into the library: a file, a folder or a pattern of files, of the formats of `formats/`, each found by
 * what it holds. Files are read as streams, sorted by name. A file of task examples becomes a document an example, its
 * prompt with the answer.
 *
 * @throws bad-input naming the file and the place: not UTF-8, malformed JSON, a missing field, no text at all
 */
export async function importCorpus(job: ImportCorpusJob, progress: Progress): Promise<Corpus> {
  const files = listFiles(job.path)
  const task = taskFormats.find((name) => name === job.format)
  if (task) return importTask(job, task)
  const sizes = files.map((file) => statSync(file).size)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  let before = 0
  let read = 0
  const onBytes = (count: number) =>
    progress('reading the text', Math.min(1, (before + (read += count)) / Math.max(1, total)))
  const reading = new Reading(job)
  const referred = job.reference ? new Referred(job) : undefined

  async function* documents(): AsyncGenerator<Document> {
    for (const [i, file] of files.entries()) {
      read = 0
      yield* reading.documents(file, onBytes, referred && ((...found) => referred.add(...found)))
      before += sizes[i]!
      read = 0
      onBytes(0)
    }
    const { count, of, first } = reading.unreadable
    if (count && count === of && reading.format() !== 'mixed')
      throw badInput(`none of the ${of} records could be read; the first: ${first[0]}`, { file: job.path })
  }
  const drop = { exact: job.duplicates === 'drop', near: job.nearDuplicates === 'drop' }
  const duplicates = new Duplicates(drop)
  const about = { id: job.id, name: job.name, source: job.path }
  const pieces = new Pieces(() => reading.format() === 'text')
  const learnt = () => ({
    format: reading.format(),
    byPlace: pieces.cut,
    ...(job.domain && { domain: job.domain }),
    ...(referred && { reference: referred.reference }),
    ...(reading.unreadable.count && { unreadable: reading.unreadable }),
    ...(duplicates.count && { duplicates: { count: duplicates.count, dropped: drop.exact } }),
    ...(duplicates.nearly && { nearDuplicates: { count: duplicates.nearly, dropped: drop.near } }),
  })
  return writeCorpus(job.dataDir, about, pieces.of(duplicates.without(documents())), learnt, { referred })
}

function importTask({ dataDir, id, name, path }: ImportCorpusJob, format: TaskFormat): Promise<Corpus> {
  const documents = readTask(format, path).map(renderExample)
  return writeCorpus(dataDir, { id, name, source: path }, documents, () => ({ format }))
}

/** A plain text that is a single document is cut at the ends of its lines, so that there is something to hold out. */
class Pieces {
  /** Whether it was: then its pieces are split by their place. */
  cut = false

  constructor(private readonly isText: () => boolean) {}

  async *of(documents: AsyncGenerator<Document>): AsyncGenerator<Document> {
    let only: Document | undefined
    let count = 0
    for await (const text of documents) {
      if (++count === 2) yield only!
      if (count === 1) only = text
      else yield text
    }
    if (count !== 1) return
    if (!this.isText() || typeof only !== 'string') return yield only!
    this.cut = true
    const size = Math.min(DOCUMENT, Math.ceil(only.length / 2))
    let piece = ''
    for (const line of only.split(/(?<=\n)/)) {
      piece += line
      if (piece.length < size) continue
      yield piece
      piece = ''
    }
    if (piece.trim()) yield piece
  }
}
