import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  CORPUS_BEGINNING,
  tokenReadingOf,
  type CorpusPreview,
  type ParsedParams,
  type ReadingPreview,
  type Result,
} from '#contract'
import { paths } from '../../store'
import type { Context } from '../context'
import { find } from '../identity'
import { performJob, type TaskControl } from '../jobs'

export const SILENT: TaskControl = { signal: new AbortController().signal, progress: () => {} }

/** Looks at text before and after it is in the library; writes nothing. */
export class Previews {
  constructor(private readonly context: Context) {}

  /** What an import would bring. */
  inspect(params: ParsedParams<'corpora.inspect'>, control = SILENT): Promise<CorpusPreview> {
    const job = {
      ...params,
      kind: 'preview-corpus' as const,
      tokenizers: this.context.catalogue.data.tokenizers,
    }
    return performJob<CorpusPreview>(this.context, job, { signal: control.signal })
  }

  /** The first documents from `offset` on. */
  async documents({
    id,
    offset,
    count,
  }: ParsedParams<'corpora.preview'>): Promise<Result<'corpora.preview'>> {
    const row = find('corpus', this.context.catalogue.data.corpora, id)
    const name = row.reference ? CORPUS_BEGINNING.file : 'documents.jsonl'
    const file = join(paths.libraryItem(this.context.dataDir, 'corpora', row.id), name)
    const documents: string[] = []
    let index = 0
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (index >= offset + count) break
      if (index >= offset) documents.push((JSON.parse(line) as { text: string }).text)
      index++
    }
    const total = row.reference ? Math.min(row.documents, CORPUS_BEGINNING.documents) : row.documents
    return { documents, total }
  }

  /** How a run would read its first documents. */
  reading(params: ParsedParams<'corpora.reading'>): Promise<ReadingPreview> {
    const { context, count, ...how } = params
    const corpus = find('corpus', this.context.catalogue.data.corpora, how.corpus)
    const tokenizer = find('tokenizer', this.context.catalogue.data.tokenizers, how.tokenizer)
    const reading = tokenReadingOf(corpus, how)
    const job = { kind: 'preview-reading' as const, corpus, tokenizer, reading, context, count }
    return performJob<ReadingPreview>(this.context, job)
  }
}
