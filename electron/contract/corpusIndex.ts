import { z } from 'zod'

/** Records of one kind of text: those whose field, a name or a path, has this value. */
export const corpusDomain = z.strictObject({ field: z.string().min(1), value: z.string().min(1) })
export type CorpusDomain = z.output<typeof corpusDomain>

/** The file of it, in the corpus' folder. */
export const CORPUS_INDEX = 'index.bin'

/** Documents of text that is referred to, which are kept beside the row to be looked at: as lines of `documents.jsonl`. */
export const CORPUS_BEGINNING = { file: 'beginning.jsonl', documents: 200 }

/** Formats of which it is known where in a file each document lies. */
export const referredFormats = ['text', 'jsonl'] as const

/**
 * Of a corpus whose text stays where it was: its files, which are read again as they were at the import. Such a corpus
 * has an index, which tells whether they are the same.
 */
export const corpusReference = z.strictObject({
  field: z.string(),
  files: z
    .array(z.strictObject({ path: z.string(), format: z.enum(referredFormats), bytes: z.number() }))
    .min(1),
})
export type CorpusReference = z.output<typeof corpusReference>

const count = z.number().int().nonnegative()

/**
 * Of a large corpus: CORPUS_INDEX beside its row says where its segments lie, runs of documents that follow each other.
 * A run draws among segments and tokenizes those that it draws (engine: data/segments); one of a corpus without an index
 * tokenizes all of it first.
 */
export const corpusIndex = z.strictObject({
  segments: count,
  /** SHA-256 of which documents each segment holds: not of where they lie. */
  digest: z.string(),
  /** Of the documents to train on, whose longest count as several: how many, and bytes of text. */
  documents: count,
  bytes: count,
})
export type CorpusIndex = z.output<typeof corpusIndex>

/** What a corpus' row says of where its text is, and what of it. */
export const corpusText = {
  index: corpusIndex.optional(),
  reference: corpusReference.optional(),
  domain: corpusDomain.optional(),
}
