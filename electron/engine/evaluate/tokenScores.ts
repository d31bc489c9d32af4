import { measuredOf, type CalibrationScore, type HeldOutDocument } from '#contract'
import { tf } from '../backend/tf'
import type { TextTokenizer } from '../data/textTokenizer'
import type { HeldOutText } from './heldOut'
import { logProbabilities } from '../distill/divergence'
import { labelLogProbabilities } from '../distill/losses'
import { brierScore, expectedCalibrationError, reliability } from './calibration'
import type { WindowBatch } from './windows'

/** Rows that `tokenStatistics` gives, in this order. */
export const STATISTICS = 4

/**
 * What a model says of each token: rows log p(label), highest probability, whether that is the label's (1 or 0), and
 * sum_v p(v)^2.
 *
 * @param logits [tokens, vocab]
 * @param labels int32 [tokens]
 * @returns [STATISTICS, tokens]
 */
export function tokenStatistics(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  const logP = logProbabilities(logits, 1)
  const p = tf.exp(logP)
  const correct = tf.cast(tf.equal(tf.argMax(logits, -1), labels), 'float32')
  return tf.stack([
    labelLogProbabilities(logP, labels),
    tf.max(p, -1),
    correct,
    tf.sum(tf.square(p), -1),
  ]) as tf.Tensor2D
}

/**
 * Computes a table per batch of windows and keeps the columns of the scored tokens: one list of numbers a row, in the
 * order of the text.
 *
 * @param table called inside a tidy; [rows, tokens of the batch]
 * @param before awaited before each batch's table
 */
export async function collectTokens(
  windows: readonly WindowBatch[],
  table: (window: WindowBatch, index: number) => tf.Tensor2D,
  onBatch: (fraction: number) => void = () => {},
  before: (index: number) => Promise<void> = async () => {},
): Promise<number[][]> {
  const lists: number[][] = []
  for (const [i, window] of windows.entries()) {
    await before(i)
    const tensor = tf.tidy(() => table(window, i))
    const [rows, tokens] = tensor.shape
    const values = await tensor.data()
    tensor.dispose()
    for (let r = 0; r < rows; r++) {
      const list = (lists[r] ??= [])
      for (let t = 0; t < tokens; t++) if (window.weights[t]) list.push(values[r * tokens + t]!)
    }
    onBatch((i + 1) / windows.length)
  }
  return lists
}

/** Calibration of a model from the rows of `tokenStatistics`. */
export function calibrationOf(model: string, rows: readonly (readonly number[])[]): CalibrationScore {
  const [labels, confidence, correct, squares] = rows as [number[], number[], number[], number[]]
  const bins = reliability(confidence, correct)
  return {
    model,
    accuracy: correct.reduce((a, b) => a + b, 0) / correct.length,
    ece: measuredOf(expectedCalibrationError(bins)),
    brier: measuredOf(brierScore(squares, labels.map(Math.exp))),
    bins,
  }
}

/**
 * Scores by document.
 *
 * @param ids BOS before every document
 * @param labels log p of every scored token, in the order of the text
 */
export function scoreDocuments(
  corpus: string,
  { ids, mask, documents: apart }: Omit<HeldOutText, 'bytes'>,
  labels: readonly number[],
  tokenizer: Pick<TextTokenizer, 'bos' | 'decode' | 'piece'>,
): HeldOutDocument[] {
  const documents: HeldOutDocument[] = []
  let scored = 0
  const bounds = apart ?? boundsOf(ids, tokenizer.bos)
  for (let at = 0; at < bounds.length; at += 2) {
    const [start, end] = [bounds[at]!, bounds[at + 1]!]
    const counted = ids.subarray(start + 1, end).filter((_, i) => mask?.[start + 1 + i] ?? 1)
    const tokens = counted.length
    let nll = 0
    for (let i = 0; i < tokens; i++) nll -= labels[scored++]!
    // The pieces of what is masked do not stand side by side: they are no text to decode.
    const bytes = mask
      ? counted.reduce((sum, id) => sum + tokenizer.piece(id).length, 0)
      : Buffer.byteLength(tokenizer.decode(counted))
    documents.push({ corpus, document: documents.length, tokens, bytes, nll: measuredOf(nll) })
  }
  return documents.filter(({ tokens }) => tokens)
}

/** Begin and end of each document, from its BOS on. */
function boundsOf(ids: Int32Array, bos: number): number[] {
  const bounds: number[] = []
  for (let start = 0, end = 0; start < ids.length; start = end) {
    end = start + 1
    while (end < ids.length && ids[end] !== bos) end++
    bounds.push(start, end)
  }
  return bounds
}
