import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  EXCERPT_TOKENS,
  failed,
  LIKELIEST,
  tokenReadingOf,
  type CorpusRead,
  type DocumentDisagreement,
  type Job,
  type Prediction,
  type RunConfig,
  type Tokenizer,
} from '#contract'
import { writeFileAtomic } from '../../files'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { openText } from '../data/corpusText'
import type { TokenIds, TokenMask } from '../data/tokens'
import { loadTokenizer } from '../data/tokenizer'
import type { TextTokenizer } from '../data/textTokenizer'
import { logProbabilities } from '../distill/divergence'
import { labelLogProbabilities as labelValues } from '../distill/losses'
import { fuseTeachers } from '../distill/objective'
import { ownWeighting } from '../distill/foreign'
import { drawnWeights } from '../distill/weighting'
import { createTables, forward } from '../model/forward'
import { readModel } from '../model/modelFolder'
import { withoutPadding } from '../model/vocabulary'
import { toTensors } from '../model/weights'
import type { Progress } from '../progress'
import { openLiveTeacher } from '../teachers/live'
import { prepareTeachers, type TeacherSource } from '../teachers/source'
import { short } from './digits'
import { pieceReader, textOfEach } from './pieces'
import { collectTokens } from './tokenScores'
import { scoringWindows, type WindowBatch } from './windows'

/** What the token between two documents is called where a model expects it. */
const END = '⟨end⟩'

type DisagreementJob = Extract<Job, { kind: 'disagreement' }>

/** Reads the job's documents, one after the other, and writes each to its file. */
export async function readDisagreement(job: DisagreementJob, progress: Progress): Promise<void> {
  const { config, dataDir, corpus } = job
  await startBackend(job.backend, { threads: job.threads })
  const tokenizer = await loadTokenizer(dataDir, config.tokenizer)
  const reading = config.corpora.find(({ row }) => row.id === corpus.id)?.reading
  const text = await openExcerpts(dataDir, { row: corpus, reading }, config.tokenizer, progress)
  const { context } = excerptShape(config)
  const whole = await readModel(job.checkpoint)
  const { config: model, weights } = withoutPadding(whole.config, whole.weights)
  const parameters = toTensors(weights)
  const tables = createTables(model, context)
  const teachers: TeacherSource[] = []
  for (const [k, row] of config.teachers.entries()) {
    progress(`opening ${row.name}`, (0.2 * k) / config.teachers.length)
    teachers.push(await openLiveTeacher(dataDir, row, context))
  }
  const reader: Reader = {
    config,
    teachers,
    tokenizer,
    corpus: corpus.id,
    student: (tokens) => forward(model, parameters, tokens, tables).logits,
  }
  for (const [i, { document, file }] of job.documents.entries()) {
    progress(`document ${document + 1}`, 0.2 + (0.8 * i) / job.documents.length)
    const found = await readDocument(reader, text, document)
    mkdirSync(dirname(file), { recursive: true })
    writeFileAtomic(file, JSON.stringify(found))
  }
}

/** Who reads, and how. */
export interface Reader {
  config: RunConfig
  /** Logits [tokens, vocab] of int32 [sequences, time]; called inside a tidy. */
  student: (tokens: tf.Tensor2D) => tf.Tensor2D
  teachers: readonly TeacherSource[]
  tokenizer: TextTokenizer
  /** Its id. */
  corpus: string
}

/**
 * The windows that a document is read in, always the same: of the run's context, each half a window after the one before,
 * so many that they hold an excerpt.
 */
export function excerptShape({ experiment: { train } }: Pick<RunConfig, 'experiment'>) {
  const context = Math.min(train.context, EXCERPT_TOKENS)
  const stride = Math.max(1, Math.floor(context / 2))
  const windows = 1 + Math.ceil((EXCERPT_TOKENS - context) / stride)
  return { context, stride, windows, span: context + (windows - 1) * stride }
}

/** A held-out split by its documents. */
export interface Excerpts {
  ids: TokenIds
  /** Where each document begins and ends: [begin, end, begin, end, ...]. */
  documents: Int32Array
  /** Whether a document is read without what follows it. */
  apart: boolean
  mask?: TokenMask
}

/** Opens the held-out split of a corpus as it is read by a run. */
export async function openExcerpts(
  dataDir: string,
  { row, reading = tokenReadingOf(row) }: CorpusRead,
  tokenizer: Tokenizer,
  progress: Progress,
): Promise<Excerpts> {
  const byDocuments = { ...reading, packing: 'documents' } as const
  const text = await openText(dataDir, { row, reading: byDocuments }, tokenizer, 'held-out', progress)
  return { ...text, documents: text.documents!, apart: reading.packing !== 'windows' }
}

/**
 * What teachers and student say of the beginning of a document. Windows of text that is read on from one to the next are
 * filled up with what follows it, as training and evaluation do, so that weights by sequence are of whole sequences; of
 * those the tokens that do not count are no part.
 */
export async function readDocument(
  reader: Reader,
  { ids, documents, apart, mask }: Excerpts,
  document: number,
): Promise<DocumentDisagreement> {
  const { tokenizer, config } = reader
  if (2 * document >= documents.length) throw failed(`the held-out split has no document ${document + 1}`)
  const [start, end] = [documents[2 * document]!, documents[2 * document + 1]!]
  const { context, windows: batch, span } = excerptShape(config)
  const until = Math.min(apart ? end : ids.length, start + 1 + span)
  const read = ids.subarray(start, until)
  const count = Math.min(end - start - 1, EXCERPT_TOKENS)
  const own = read.subarray(1, 1 + count)
  const about = { document, cut: end - start - 1 > count }
  if (!count) return { ...about, tokens: [], pieces: {} }

  // Every token is shown, those that do not count too.
  const windows = scoringWindows(read, { context, batch, mask: new Uint8Array(read.length).fill(1) })
  const counted = mask?.subarray(start, until)
  const rows = await collectTokens(
    windows,
    (window) => table(reader, window, batch, document, counted && countedOf(window, counted)),
    undefined,
    (i) => prepareTeachers(reader.teachers, windows[i]!.inputs),
  )
  const texts = textOfEach(own, tokenizer)
  const tokens = Array.from(own, (id, t) => {
    const numbers = rows.map((row) => row[t]!)
    const uncounted = counted && !counted[1 + t]
    return {
      id,
      text: texts[t]!,
      ...(uncounted && { uncounted }),
      ...tokenAt(numbers, config.teachers.length),
    }
  })
  const named = tokens.flatMap(({ id, teachers, target, student }) => [
    id,
    ...[...teachers, target, student].flatMap(({ top }) => top.map(([other]) => other)),
  ])
  const pieceOf = pieceReader(tokenizer)
  const nameOf = (id: number) => (id === tokenizer.bos ? END : pieceOf(id))
  const pieces = Object.fromEntries([...new Set(named)].map((id) => [String(id), nameOf(id)]))
  return { ...about, tokens, pieces }
}

/** 1 where a target of a batch of windows counts. */
function countedOf({ starts, targets }: WindowBatch, counted: Uint8Array): Float32Array {
  const context = targets.length / starts.length
  return Float32Array.from(targets, (_, i) => {
    const start = starts[Math.floor(i / context)]!
    return start < 0 ? 0 : (counted[start + 1 + (i % context)] ?? 0)
  })
}

/**
 * A column for each token: D, the teachers' weights, then a block for each teacher, the fused target and the student:
 * the likeliest ids, their probabilities, and the next token's.
 */
function table(
  reader: Reader,
  window: WindowBatch,
  batch: number,
  document: number,
  counted: Float32Array | undefined,
): tf.Tensor2D {
  const { config, teachers, student, corpus } = reader
  const { loss } = config.experiment
  const { tau } = loss
  const context = window.inputs.length / batch
  const tokens = tf.tensor2d(window.inputs, [batch, context], 'int32')
  const labels = tf.tensor1d(window.targets, 'int32')
  const logits = teachers.map((teacher) => teacher.signal(tokens).logits)
  const drawn = drawnWeights(config.experiment, {
    stream: `disagreement/${corpus}/${document}`,
    ...{ tokens: labels.size, time: context, teachers: teachers.length },
    corpora: config.corpora.findIndex(({ row }) => row.id === corpus),
  })
  const { p, alpha, disagreement } = fuseTeachers(ownWeighting(config), tau, logits, batch, {
    labels,
    weights: counted && tf.tensor2d(counted, [counted.length, 1]),
    temperatures: config.temperatures,
    conflict: loss,
    drawn: drawn && tf.tensor2d(drawn, [labels.size, teachers.length]),
  })
  const said = logits.map((z, k) => tf.exp(logProbabilities(z, tau * (config.temperatures?.[k] ?? 1))))
  const own = tf.exp(logProbabilities(student(tokens), tau))
  const blocks = [...said, p, own].map((q) => likeliest(q as tf.Tensor2D, labels))
  return tf.transpose(tf.concat([disagreement, alpha, ...blocks], 1))
}

/** Of probabilities [tokens, vocab]: [tokens, 2 n + 1], n ids, their probabilities, the label's. */
function likeliest(p: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  const { values, indices } = tf.topk(p, Math.min(LIKELIEST, p.shape[1]))
  const truth = tf.reshape(labelValues(p, labels), [-1, 1])
  return tf.concat([tf.cast(indices, 'float32'), values, truth] as tf.Tensor2D[], 1)
}

/** A column of the table, read. */
function tokenAt(column: readonly number[], teachers: number) {
  const models = teachers + 2
  const first = 1 + teachers
  const size = (column.length - first) / models
  const n = (size - 1) / 2
  const predictions = Array.from({ length: models }, (_, m): Prediction => {
    const block = column.slice(first + m * size, first + (m + 1) * size)
    const top = Array.from({ length: n }, (_, i): [number, number] => [block[i]!, share(block[n + i]!)])
    return { top, truth: share(block[2 * n]!) }
  })
  return {
    disagreement: short(column[0]!),
    alpha: column.slice(1, first).map(short),
    teachers: predictions.slice(0, teachers),
    target: predictions[teachers]!,
    student: predictions[teachers + 1]!,
  }
}

/** Sums of rounded numbers may end a hair above 1. */
const share = (value: number) => Math.min(1, short(value))
