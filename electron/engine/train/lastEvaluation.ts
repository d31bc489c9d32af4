import { join } from 'node:path'
import {
  evaluationDetail,
  heldOutDocument,
  measuredOf,
  parse,
  runFiles,
  type CalibrationScore,
  type Continuation,
  type EvaluationDetail,
  type EvaluationRecord,
  type HeldOutDocument,
} from '#contract'
import { writeJsonAtomic, writeJsonLinesAtomic } from '../../files'
import { tf } from '../backend/tf'
import { inTurn, type Chunk } from '../distill/chunks'
import { logProbabilities } from '../distill/divergence'
import { answerAll, heldOutQuestions } from '../evaluate/answers'
import { continueAll, heldOutPrompts, overlap } from '../evaluate/continuations'
import { spearman } from '../evaluate/correlation'
import {
  calibrationOf,
  collectTokens,
  scoreDocuments,
  STATISTICS,
  tokenStatistics,
} from '../evaluate/tokenScores'
import type { WindowBatch } from '../evaluate/windows'
import { nativeModel } from '../model/languageModel'
import { forward } from '../model/forward'
import { logitsOf } from '../teachers/logits'
import { prepareTeachers, type TeacherSource } from '../teachers/source'
import { chunksFor } from './chunksFor'
import { countedTokens } from './counted'
import type { HeldOut } from './evaluation'
import type { Student } from './student'

interface LastEvaluation {
  /** Added to the record of the last step. */
  metrics: Partial<EvaluationRecord>
  detail: Omit<EvaluationDetail, 'step'>
  documents: HeldOutDocument[]
}

/** The record of a run's last step, complete; what is too long for it is written to files of the run folder. */
export async function completeEvaluation(
  folder: string,
  record: EvaluationRecord,
  heldOut: HeldOut,
  student: Student,
  teachers: readonly TeacherSource[],
): Promise<EvaluationRecord> {
  const { metrics, detail, documents } = await evaluateLast(heldOut, student, teachers)
  const rows = documents.map((document) => parse(heldOutDocument, document))
  writeJsonLinesAtomic(join(folder, runFiles.heldOut), rows)
  writeJsonAtomic(join(folder, runFiles.detail), parse(evaluationDetail, { step: record.step, ...detail }))
  return { ...record, ...metrics }
}

/**
 * What is measured once, when a run has come to its last step: scores by document for the statistics, calibration of
 * student and teachers, where the weight went, and continuations of held-out prompts (METHOD: metrics).
 */
async function evaluateLast(
  heldOut: HeldOut,
  student: Student,
  teachers: readonly TeacherSource[],
): Promise<LastEvaluation> {
  const { config, tokenizer, splits } = heldOut
  const documents: HeldOutDocument[] = []
  const all: number[][] = []
  for (const split of splits) {
    const { id, text, parts } = split
    const rows = await collectTokens(
      parts,
      (window, i) =>
        tokenTable(heldOut, window, student, teachers, heldOut.draw(split, parts[i]!, teachers.length)),
      undefined,
      (i) => prepareTeachers(teachers, parts[i]!.inputs, { split: id, ...parts[i]!.at }),
    )
    documents.push(...scoreDocuments(id, text, rows[0] ?? [], tokenizer))
    for (const [r, row] of rows.entries()) all[r] = (all[r] ?? []).concat(row)
  }
  if (!all[0]?.length) return { metrics: {}, detail: { calibration: [], continuations: [] }, documents }

  const block = (k: number) => all.slice(STATISTICS + k * PER_TEACHER, STATISTICS + (k + 1) * PER_TEACHER)
  const own = calibrationOf('student', all)
  const calibration: CalibrationScore[] = [own]
  for (const [k, { row }] of teachers.entries()) calibration.push(calibrationOf(row.name, block(k)))

  const continuations: Continuation[] = []
  const perSplit = Math.ceil(config.experiment.evaluate.prompts / splits.length)
  const writer = { model: nativeModel(config.student, student.weights), tokenizer }
  let [asked, exact] = [0, 0]
  for (const { text } of perSplit ? splits : []) {
    if (text.mask) {
      const questions = heldOutQuestions(text, perSplit, config.experiment.train.context)
      const answered = await answerAll(writer, questions)
      continuations.push(...answered.continuations)
      asked += questions.length
      exact += answered.exact
      continue
    }
    const prompts = heldOutPrompts(text.ids, tokenizer, perSplit)
    continuations.push(...(await continueAll(writer, prompts)).continuations)
  }

  const metrics: Partial<EvaluationRecord> = { ece: own.ece, brier: own.brier, ...overlap(continuations) }
  if (asked) metrics.exactAnswers = exact / asked
  if (teachers.length) {
    const blocks = teachers.map((_, k) => block(k))
    metrics.klToTeachers = blocks.map((rows) => measuredOf(mean(rows[KL]!)))
    if (teachers.length > 1) {
      const weights = blocks.flatMap((rows) => rows[ALPHA]!)
      metrics.weightCorrectness = spearman(
        weights,
        blocks.flatMap((rows) => rows[CORRECT]!),
      )
    }
  }
  return { metrics, detail: { calibration, continuations }, documents }
}

/** Rows of a teacher's block: the statistics, then its weight, then KL(p_k || q). */
const CORRECT = 2
const ALPHA = STATISTICS
const KL = STATISTICS + 1
const PER_TEACHER = STATISTICS + 2

/** [STATISTICS + PER_TEACHER * K, tokens] */
function tokenTable(
  heldOut: HeldOut,
  window: WindowBatch,
  student: Student,
  teachers: readonly TeacherSource[],
  drawn: Float32Array | undefined,
): tf.Tensor2D {
  const { config, tables } = heldOut
  const { context } = config.experiment.train
  const sequences = window.inputs.length / context
  const tokens = tf.tensor2d(window.inputs, [sequences, context], 'int32')
  const output = forward(config.student, student.weights, tokens, tables)
  const signals = teachers.map((teacher) => teacher.signal(tokens))
  const chunks = chunksFor(config, sequences, teachers.length, 0)
  const tableOf = (chunk: Chunk) => {
    const { from, size } = chunk
    const labels = tf.tensor1d(window.targets.subarray(from, from + size), 'int32')
    const logits = logitsOf(output, chunk)
    const parts = [tokenStatistics(logits, labels)]
    if (!teachers.length) return parts[0]!
    const logQ = logProbabilities(logits, 1)
    const teacherLogits = signals.map((signal) => logitsOf(signal, chunk))
    const own = drawn?.subarray(from * teachers.length, (from + size) * teachers.length)
    const counted = countedTokens(config, window.weights, chunk)
    const { alpha } = heldOut.fuse(1, teacherLogits, labels, own, counted)
    const weights = tf.transpose(alpha)
    for (const [k, z] of teacherLogits.entries()) {
      const logP = logProbabilities(z, 1)
      const kl = tf.sum<tf.Tensor2D>(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), -1)
      parts.push(
        tokenStatistics(z, labels),
        tf.slice(weights, [k, 0], [1, -1]) as tf.Tensor2D,
        tf.reshape(kl, [1, -1]) as tf.Tensor2D,
      )
    }
    return tf.concat(parts, 0)
  }
  return tf.concat(
    inTurn(chunks, tableOf, (table) => [table]),
    1,
  )
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}
