import { z } from 'zod'
import { objectName } from './experiment'
import { corpusFormats, unreadable } from './library'

/** What an import would bring, by its beginning. */
export const corpusPreview = z.strictObject({
  files: z.number().int().positive(),
  /** Of the files, as they lie on the disk. */
  bytes: z.number().int().nonnegative(),
  /** Of the files that were looked into. */
  formats: z.array(z.enum(corpusFormats)),
  /** Of its records: what each holds in the first one that has it. */
  fields: z.array(z.strictObject({ name: z.string(), kind: z.string(), example: z.string() })),
  /** The first documents, each by its beginning. */
  documents: z.array(z.string()),
  /** Documents that were looked at, and their bytes of UTF-8. */
  looked: z.strictObject({
    documents: z.number().int().nonnegative(),
    bytes: z.number().int().nonnegative(),
  }),
  unreadable,
  /** What the documents that were looked at are under each tokenizer of the library. */
  tokens: z.array(z.strictObject({ tokenizer: objectName, tokens: z.number(), lossless: z.boolean() })),
})
export type CorpusPreview = z.output<typeof corpusPreview>

/** How a run would read the first documents of a corpus: as its tokenizer and template write them. */
export const readingPreview = z.strictObject({
  documents: z.array(
    z.strictObject({
      tokens: z.number().int().nonnegative(),
      /** Of those, how many count in losses and metrics. */
      counted: z.number().int().nonnegative(),
      /** The text in its order, cut after some hundreds of tokens: what counts, what is read alone, what no sequence reaches. */
      parts: z.array(z.strictObject({ text: z.string(), as: z.enum(['counted', 'read', 'unread']) })),
    }),
  ),
})
export type ReadingPreview = z.output<typeof readingPreview>
