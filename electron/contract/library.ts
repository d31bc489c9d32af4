import { z } from 'zod'
import { badInput } from './errors'
import { corpusDomain, corpusText } from './corpusIndex'
import type { CorpusMixture, TokenReading } from './corpusMixture'
import { objectName, type Features } from './experiment'
import { int8Cost } from './int8Cost'
import { measured } from './measured'
import { hasLayers, teacherModel, type ModelConfig } from './model'
import { weightsReference } from './reference'
import { servedCheck } from './served'

export const id = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'an id is lower-case letters, digits and dashes')
/** SHA-256, hexadecimal. */
export const digest = z.string().regex(/^[0-9a-f]{64}$/, 'a digest is 64 hexadecimal digits')
export const timestamp = z.iso.datetime()

/** The file in each folder of the library that says what the catalogue says of it. */
export const LIBRARY_ROW = 'row.json'

/** Files of task examples; as a corpus, each example is a document of prompt and answer. */
export const taskFormats = ['sst2', 'mrpc', 'conll', 'squad', 'summarization', 'text-to-text'] as const
export type TaskFormat = (typeof taskFormats)[number]

/** What a file of text can be. A shard of C4 is JSON lines. */
const textFormats = ['text', 'jsonl', 'c4', 'json', 'table', 'parquet', 'arrow'] as const

/** Of a corpus of files of several formats: mixed. */
export const corpusFormats = [...textFormats, 'mixed', 'synthetic', ...taskFormats] as const

/** How text is imported. */
export const corpusReading = {
  /** Default: found by what each file holds. */
  format: z.enum(['auto', ...textFormats, ...taskFormats]).default('auto'),
  /** Of records, the field with the text, a path to it (`data.text`), or a template (`{title}\n\n{body}`). */
  field: z.string().min(1).default('text'),
  /** What happens at a record that has no text there, or cannot be read. */
  unreadable: z.enum(['stop', 'skip']).default('stop'),
  /** What happens to documents that were there before, letter by letter: they are counted either way. */
  duplicates: z.enum(['keep', 'drop']).default('keep'),
  /** The same of documents that are nearly as an earlier one. */
  nearDuplicates: z.enum(['keep', 'drop']).default('keep'),
  /** What alone is imported; default: all. */
  domain: corpusDomain.optional(),
}
/** How text is read that nothing else is said of. */
export const usualReading = z.object(corpusReading).parse({})
export const importFormats = corpusReading.format.unwrap().options

/** Records of an import that were left out. */
export const unreadable = z.strictObject({
  count: z.number().int().nonnegative(),
  /** Of so many. */
  of: z.number().int().nonnegative(),
  /** The first ten: where, and what is wrong. */
  first: z.array(z.string()),
})
export type Unreadable = z.output<typeof unreadable>

/** What an import says of documents that were there before, or nearly: such may be held out and trained on at once. */
export function duplicatesText(
  row: Pick<Corpus, 'documents' | 'duplicates' | 'nearDuplicates' | 'split'>,
): string {
  const { documents, duplicates, nearDuplicates, split } = row
  const apart = split ? 'all on one side of the splits' : 'held-out text may stand in training too'
  const exact =
    duplicates && told(duplicates, documents, 'duplicates', `${apart} (--duplicates drop leaves them out)`)
  const nearly = 'held-out text may nearly stand in training (--near-duplicates drop leaves them out)'
  const near = nearDuplicates && told(nearDuplicates, documents, 'near duplicates', nearly)
  return [exact, near].filter(Boolean).join('\n')
}

function told(
  { count, dropped }: { count: number; dropped: boolean },
  documents: number,
  what: string,
  kept: string,
) {
  if (dropped) return `${count} ${what} of other documents were dropped`
  return `${count} of ${documents} documents are ${what}: ${kept}`
}

/** What is always said of an import: that more than one in a hundred of its records was left out. */
export function unreadableWarning({ count, of }: Unreadable): string | undefined {
  if (count <= of / 100) return undefined
  return `${count} of ${of} records (${((100 * count) / of).toFixed(1)} %) could not be read and were left out`
}

/**
 * A corpus of the library. Its folder `library/corpora/<id>/` holds `documents.jsonl`, one `{"text": ...}` a line, or of
 * conversations with their `"turns": [{"role": ..., "content": ...}]`, normalised at import; `digest` is that file's. Which split a document belongs to, its `split` says; without one
 * document i is held out when i % 20 == 0, for calibration when i % 20 == 10, to train on otherwise.
 */
export const corpus = z.strictObject({
  id,
  name: objectName,
  format: z.enum(corpusFormats),
  /** What was imported, for a person to read; `synthetic:<domain>` for generated text. */
  source: z.string(),
  /** Bytes of text, UTF-8, over all splits. */
  bytes: z.number().int().nonnegative(),
  documents: z.number().int().positive(),
  heldOutDocuments: z.number().int().nonnegative(),
  digest,
  /** Records that were left out by choice. */
  unreadable: unreadable.optional(),
  /** Its documents are conversations, which a run's tokenizer writes with a chat template. */
  conversations: z.literal(true).optional(),
  /**
   * Split by the SHA-256 of a document's text, as a fraction: below the one it is held out, from the other on for
   * calibration. Twins fall on one side, and a document stays on its side when others are added.
   */
  split: z.strictObject({ heldOutBelow: z.number(), calibrationFrom: z.number() }).optional(),
  /** Documents that were there before, letter by letter, and whether they were dropped. */
  duplicates: z.strictObject({ count: z.number().int().positive(), dropped: z.boolean() }).optional(),
  /** Documents of which nearly all runs of five words stand in an earlier one, and whether they were dropped. */
  nearDuplicates: z.strictObject({ count: z.number().int().positive(), dropped: z.boolean() }).optional(),
  ...corpusText,
  /** Entropy rate of the source in bits per byte, where it is known exactly (generated text). */
  entropyFloor: z.number().optional(),
  sample: z.string(),
  createdAt: timestamp,
})
export type Corpus = z.output<typeof corpus>

/** A corpus as a run reads it. */
export interface CorpusRead {
  row: Corpus
  /** Absent of text of which every token counts, in windows. */
  reading?: TokenReading
}

/** How a corpus is read: as a definition says, else as fits what it holds. */
export function tokenReadingOf(
  { conversations }: Pick<Corpus, 'conversations'>,
  { loss, packing, template }: Partial<Pick<CorpusMixture[number], 'loss' | 'packing' | 'template'>> = {},
): TokenReading {
  return {
    loss: loss ?? (conversations ? 'assistant' : 'all'),
    packing: packing ?? (conversations ? 'documents' : 'windows'),
    ...(template && { template }),
  }
}

/** What the documents of a corpus' splits are a function of. */
export function textDigest({ digest, split }: Pick<Corpus, 'digest' | 'split'>): string {
  return split ? [digest, split.heldOutBelow, split.calibrationFrom].join('/') : digest
}

/** What the tokens that a run reads of a corpus are a function of, beside its tokenizer. */
export function readDigest({ row, reading }: CorpusRead): string {
  return [textDigest(row), ...(reading ? Object.values(reading) : [])].join('/')
}

/** A teacher's temperature, fitted on the calibration split of a mixture (METHOD: calibrated entropy). */
export const calibration = z.strictObject({
  corpora: z.array(z.strictObject({ id, weight: z.number().positive() })).min(1),
  /** Tokens it was fitted on. */
  tokens: z.number().int().positive(),
  /** T: the teacher's logits are divided by it. Above 1 it was too sure of itself. */
  temperature: z.number().positive(),
  /** Negative log-likelihood on the split at temperature 1 and at T, nats per token. */
  before: z.number(),
  after: z.number(),
})
export type Calibration = z.output<typeof calibration>

/** The calibration of a teacher for a mixture of corpora, if it was fitted. */
export function calibrationFor(
  { calibrations }: Pick<Teacher, 'calibrations'>,
  corpora: readonly { id: string; weight: number }[],
): Calibration | undefined {
  const key = mixtureKey(corpora)
  return calibrations.find((one) => mixtureKey(one.corpora) === key)
}

/** The same for mixtures with the same corpora in the same ratios. */
function mixtureKey(corpora: readonly { id: string; weight: number }[]): string {
  const sum = corpora.reduce((total, { weight }) => total + weight, 0)
  return corpora
    .map((one) => `${one.id} ${(one.weight / sum).toFixed(6)}`)
    .sort()
    .join(', ')
}

/** What a model said when it was imported: of a paragraph of plain English, and after the words "Once upon a time". */
export const importCheck = z.strictObject({
  perplexity: z.number(),
  sample: z.string(),
  served: servedCheck.optional(),
  /** What is strange about it. */
  warning: z.string().optional(),
})
export type ImportCheck = z.output<typeof importCheck>

/** `library/teachers/<id>/`: `model.json` and `model.safetensors`, or a reference; or `model.onnx`; or `served.json`. */
export const teacher = z.strictObject({
  id,
  name: objectName,
  source: z.enum(['trained', 'llama2c', 'huggingface', 'onnx', 'served', 'derived']),
  /** The id of its tokenizer. */
  tokenizer: id,
  model: teacherModel,
  /** 0 of one behind a server, which does not tell. */
  parameters: z.number().int().nonnegative(),
  /** Of model.safetensors, of the files of a reference, of model.onnx with its files, or of served.json. */
  digest,
  /** Where its weights lie when it has no copy of them. */
  reference: weightsReference.optional(),
  /** The training run, when it was trained here. */
  run: id.optional(),
  /** When it was made from another teacher: its id, and what the logits were multiplied by. */
  derived: z.strictObject({ from: id, logitScale: z.number().positive() }).optional(),
  /** When it was imported. */
  check: importCheck.optional(),
  /** Held-out perplexity by corpus id, as far as it was measured. */
  perplexity: z.record(z.string(), measured).default({}),
  /** One for each mixture it was calibrated on, the newest last. */
  calibrations: z.array(calibration).default([]),
  /** What its matrices in 8 bits cost, where that was measured. */
  int8: int8Cost.optional(),
  createdAt: timestamp,
})
export type Teacher = z.output<typeof teacher>

/**
 * A teacher's model, to be read layer by layer.
 *
 * @throws bad-input for an ONNX model
 */
export function layeredModel({ name, model }: Pick<Teacher, 'name' | 'model'>): ModelConfig {
  if (hasLayers(model)) return model
  const what = model.family === 'onnx' ? 'is an ONNX model' : 'is behind a server'
  throw badInput(`teacher "${name}" ${what}, whose layers cannot be read`, {
    expected: 'a model of ours',
  })
}

/**
 * How many layers a teacher has whose hidden states features can be aligned with.
 *
 * @throws bad-input when the teacher does not give those that are asked for
 */
export function alignableLayers(
  { name, model }: Pick<Teacher, 'name' | 'model'>,
  { layers, embedding, attention }: Pick<Features, 'layers' | 'embedding' | 'attention'>,
  file?: string,
): Pick<ModelConfig, 'layers'> {
  if (model.family === 'served') {
    throw badInput(`teacher "${name}" is behind a server, which gives no hidden states to align`, {
      file,
      field: 'loss.features',
      expected: 'false',
    })
  }
  if (model.family !== 'onnx') return model
  const refused = (message: string, field: string, expected: string) =>
    badInput(`teacher "${name}" is an ONNX model ${message}`, { file, field, expected })
  if (!model.hidden) {
    throw refused(
      'that gives logits and no hidden states to align',
      'loss.features',
      'false, or a model with the outputs hidden_states.0 to hidden_states.N, or last_hidden_state',
    )
  }
  if (attention !== 'none') throw refused('that gives no attention maps', 'loss.features.attention', 'none')
  if (!model.hidden.last) return model.hidden
  const onlyLast = 'that gives its last hidden state alone'
  if (embedding) throw refused(onlyLast, 'loss.features.embedding', 'false')
  if (layers === 'uniform' || (layers !== 'last' && layers.some((pair) => pair.teacher !== 1)))
    throw refused(onlyLast, 'loss.features.layers', 'last, or pairs with its layer 1')
  return model.hidden
}
