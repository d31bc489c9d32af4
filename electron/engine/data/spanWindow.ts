import { firstAbove } from '../firstAbove'
import type { SpanTable } from './alignment'

/** A corpus' split in the tokens of student and teacher. */
export interface AlignedText {
  spans: SpanTable
  /** The teacher's tokens, BOS before every document. */
  teacher: Int32Array
}

/** What a teacher of another tokenizer reads in place of a batch, and how its tokens lie to the student's. */
export interface AlignedBatch {
  /** Its tokens and the next ones, [sequences * time] each. */
  inputs: Int32Array
  targets: Int32Array
  /**
   * The span of each of the student's targets, [sequences * context]: the place, within the sequence, of the span's
   * first target. A target of no compared span is alone.
   */
  spans: Int32Array
  /** The same of the teacher's targets, [sequences * time]; `context` where there is none. */
  teacherSpans: Int32Array
  /** Where a span begins, the teacher's place (within the sequence) that predicts its first token; [sequences * context]. */
  at: Int32Array
  /** 1 where a span begins that both read whole, else 0; [sequences * context]. */
  begins: Float32Array
  /** What each span's comparison is multiplied with, for the mean over a step's tokens to be that over its spans. */
  scale: number
}

export interface WindowShape {
  /** Tokens of the student's sequences, and of the teacher's. */
  context: number
  time: number
}

/** @param sequences rows that are not filled compare nothing */
export function emptyAlignedBatch(sequences: number, { context, time }: WindowShape): AlignedBatch {
  const own = () => new Int32Array(sequences * context)
  return {
    inputs: new Int32Array(sequences * time),
    targets: new Int32Array(sequences * time),
    spans: own().map((_, i) => i % context),
    teacherSpans: new Int32Array(sequences * time).fill(context),
    at: own(),
    begins: new Float32Array(sequences * context),
    scale: 1,
  }
}

/** The i-th of `count` equal parts of a batch: its spans count as they do in the whole. */
export function partOf(batch: AlignedBatch, i: number, count: number): AlignedBatch {
  const cut = <T extends Int32Array | Float32Array>(values: T) =>
    values.subarray((i * values.length) / count, ((i + 1) * values.length) / count) as T
  return {
    inputs: cut(batch.inputs),
    targets: cut(batch.targets),
    spans: cut(batch.spans),
    teacherSpans: cut(batch.teacherSpans),
    at: cut(batch.at),
    begins: cut(batch.begins),
    scale: batch.scale,
  }
}

/** The same batch, of which those spans count alone that begin where a target does: `mask` [sequences * context]. */
export function countedSpans(batch: AlignedBatch, mask: Float32Array): AlignedBatch {
  return scaled({ ...batch, begins: batch.begins.map((begins, i) => begins * mask[i]!) })
}

/** With what makes the mean over tokens one over spans. */
export function scaled(batch: AlignedBatch): AlignedBatch {
  const spans = batch.begins.reduce((a, b) => a + b, 0)
  return { ...batch, scale: spans && batch.begins.length / spans }
}

/**
 * Fills one row: the student reads `context` tokens from `start` on, the teacher from the beginning of the span that
 * the first of them is in. Compared are the spans of the same text after that one which end within both windows.
 *
 * @param limit the student's tokens from there on do not count
 */
export function fillRow(
  batch: AlignedBatch,
  row: number,
  { spans, teacher }: AlignedText,
  start: number,
  { context, time }: WindowShape,
  limit = Infinity,
): void {
  const first = spanOf(spans, start)
  const from = first ? spans.teacher[first - 1]! : 0
  const there = row * time
  for (let j = 0; j < time && from + j < teacher.length; j++) {
    batch.inputs[there + j] = teacher[from + j]!
    batch.targets[there + j] = teacher[from + j + 1] ?? 0
  }
  const here = row * context
  for (let s = first + 1; s < spans.student.length; s++) {
    const [own, end] = [spans.student[s - 1]!, spans.student[s]!]
    const [its, itsEnd] = [spans.teacher[s - 1]!, spans.teacher[s]!]
    if (end > Math.min(start + context + 1, limit) || itsEnd > from + time + 1) break
    if (spans.compared?.[s] === 0) continue
    const place = own - start - 1
    batch.spans.fill(place, here + place, here + end - start - 1)
    batch.teacherSpans.fill(place, there + its - from - 1, there + itsEnd - from - 1)
    batch.at[here + place] = its - from - 1
    batch.begins[here + place] = 1
  }
}

/** The span that holds a token of the student. */
const spanOf = ({ student }: SpanTable, token: number) => firstAbove(student, token)

/** Windows looked at for `windowTime`, of each text. */
const LOOKED_AT = 4096
/** The share of them that must fit. */
const FITTING = 0.99
const MULTIPLE = 8

/**
 * How many tokens the teacher's windows need, for nearly all of the student's to be read whole: one length for all,
 * rounded up, at most the teacher's context.
 */
export function windowTime(texts: readonly AlignedText[], context: number, most: number): number {
  const needs: number[] = []
  for (const { spans } of texts) {
    const last = Math.max(0, (spans.student.at(-1) ?? 0) - context - 1)
    const stride = Math.max(1, Math.floor(last / LOOKED_AT))
    for (let start = 0; start <= last; start += stride) {
      const [first, end] = [spanOf(spans, start), spanOf(spans, start + context + 1)]
      const to = spans.teacher[Math.max(first, end - 1)]!
      needs.push(to - (first ? spans.teacher[first - 1]! : 0) - 1)
    }
  }
  needs.sort((a, b) => a - b)
  const need = needs[Math.floor(FITTING * (needs.length - 1))] ?? context
  return Math.min(most, Math.max(MULTIPLE, Math.ceil(need / MULTIPLE) * MULTIPLE))
}
