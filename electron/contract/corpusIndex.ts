import { z } from 'zod'
import type { RunConfig } from './run'
import { writes } from './source'

/** The file of it, in the corpus' folder. */
export const CORPUS_INDEX = 'index.bin'

const count = z.number().int().nonnegative()

/**
 * Of a large corpus: CORPUS_INDEX beside its row says where its segments lie, runs of documents that follow each other.
 * A run draws among segments and tokenizes those that it draws (engine: data/segments); one of a corpus without an index
 * tokenizes all of it first.
 */
export const corpusIndex = z.strictObject({
  segments: count,
  /** Of the documents to train on, whose longest count as several: how many, and bytes of text. */
  documents: count,
  bytes: count,
})
export type CorpusIndex = z.output<typeof corpusIndex>

/**
 * Whether the batches of a run are drawn among segments: where a corpus has an index and nobody needs the whole text, as
 * teachers of other tokenizers and a student that writes do. It follows from what is recorded of a run alone, so that a
 * resumed one draws as it began.
 */
export function drawsSegments({
  corpora,
  foreign,
  experiment,
}: Pick<RunConfig, 'corpora' | 'foreign' | 'experiment'>): boolean {
  return corpora.some(({ row }) => row.index) && !foreign?.length && !writes(experiment.train)
}
