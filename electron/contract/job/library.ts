import { z } from 'zod'
import { tokenReading } from '../corpusMixture'
import { objectName } from '../experiment'
import { corpus, corpusReading, id, teacher } from '../library'
import { tokenizer, tokenizerVocab } from '../tokenizer'
import { servedImport } from '../served'
import { teacherFormat } from '../teacherFormat'
import { base } from './base'

/** Reads `path` and writes `library/corpora/<id>/documents.jsonl`. Result: a Corpus row. */
export const importCorpusJob = z.object({
  ...base,
  kind: z.literal('import-corpus'),
  id,
  name: objectName,
  path: z.string(),
  ...corpusReading,
  /** The text stays where it is, in files that are read again when it is needed. */
  reference: z.boolean().optional(),
})

/** Reads the beginning of `path`. Result: a CorpusPreview. */
export const previewCorpusJob = z.object({
  ...base,
  kind: z.literal('preview-corpus'),
  path: z.string(),
  ...corpusReading,
  /** Those that tokens are counted under. */
  tokenizers: z.array(tokenizer),
})

/** Writes the first documents of a corpus as a run would read them. Result: a ReadingPreview. */
export const previewReadingJob = z.object({
  ...base,
  kind: z.literal('preview-reading'),
  corpus,
  tokenizer,
  reading: tokenReading,
  /** Tokens of a sequence. */
  context: z.number().int().positive(),
  count: z.number().int().positive(),
})

/** Generates `bytes` of one domain of the built-in grammar. Result: a Corpus row. */
export const generateCorpusJob = z.object({
  ...base,
  kind: z.literal('generate-corpus'),
  id,
  name: objectName,
  domain: z.string(),
  bytes: z.number().int().positive(),
  seed: z.number().int(),
})

/** Trains a byte-level BPE on the training split of library corpora. Result: a Tokenizer row. */
export const trainTokenizerJob = z.object({
  ...base,
  kind: z.literal('train-tokenizer'),
  id,
  name: objectName,
  corpora: z.array(corpus).min(1),
  vocab: tokenizerVocab,
})

/** Imports a tokenizer file (tokenizer.json or llama2.c's), or that of `hf:ORG/NAME`. Result: a Tokenizer row. */
export const importTokenizerJob = z.object({
  ...base,
  kind: z.literal('import-tokenizer'),
  id,
  name: objectName,
  path: z.string(),
})

/**
 * Imports a pretrained model with its tokenizer into `library/teachers/<id>` and `library/tokenizers/<tokenizerId>`.
 * Result: `{teacher, tokenizer}`.
 */
export const importTeacherJob = z.object({
  ...base,
  kind: z.literal('import-teacher'),
  id,
  name: objectName,
  /** A file or a folder, the address of a server, or a model of the Hugging Face Hub: `hf:ORG/NAME[@REVISION]`, as for the tokenizer. */
  path: z.string(),
  /** Default: `tokenizer.json` in the same folder; of llama2.c `tok<vocab>.bin` or `tokenizer.bin`. */
  tokenizerPath: z.string().optional(),
  tokenizerId: id,
  /** Of a path that is the address of a server. */
  served: servedImport.optional(),
  format: teacherFormat,
  /** Of a Hugging Face folder: its weights stay there and are not copied. */
  reference: z.boolean().optional(),
})
export const importTeacherResult = z.object({ teacher, tokenizer })

/** Writes `library/teachers/<id>`: another teacher with its logits scaled. Result: a Teacher row. */
export const deriveTeacherJob = z.object({
  ...base,
  kind: z.literal('derive-teacher'),
  id,
  name: objectName,
  from: teacher,
  logitScale: z.number().positive(),
})
