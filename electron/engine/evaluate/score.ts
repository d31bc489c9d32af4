import { measuredOf, type Measured, type ModelConfig, type ReliabilityBin } from '#contract'
import { tf } from '../backend/tf'
import type { LanguageModel } from '../model/reader'
import { calibrationOf, collectTokens, tokenStatistics } from './tokenScores'
import { scoringWindows, type WindowOptions } from './windows'

export interface Score {
  /** Predicted tokens. */
  tokens: number
  bytes: number
  /** Nats per predicted token. */
  crossEntropy: Measured
  perplexity: Measured
  bitsPerByte: Measured
  /** Tokens a window, and between the starts of two. */
  context: number
  stride: number
  /** Top-1 accuracy, 0..1. */
  accuracy: number
  ece: Measured
  brier: Measured
  bins: ReliabilityBin[]
}

/** What is said of ids that are scored. */
interface ScoredText extends Pick<WindowOptions, 'mask' | 'documents'> {
  bos: number
  bytes: number
  maxContext?: number
}

/** Windows computed at a time; bounds the logits that exist at once. */
const LOGITS = 4_000_000

/** Rows of `context` tokens to compute at a time. */
export function batchFor({ vocab }: Pick<ModelConfig, 'vocab'>, context: number): number {
  return Math.max(1, Math.min(16, Math.floor(LOGITS / (context * vocab))))
}

/**
 * Scores token ids with a model: every token after the first once, by sliding windows of the model's context (at most
 * `maxContext`) that advance by half of it. Sums in float64.
 *
 * @param bos separates documents and is not scored
 * @param bytes UTF-8 bytes of the scored text
 */
export async function scoreIds(
  model: LanguageModel,
  ids: Int32Array,
  { bos, bytes, mask, documents, maxContext = 512 }: ScoredText,
  onBatch: (fraction: number) => void = () => {},
): Promise<Score> {
  const context = Math.min(model.context, maxContext, Math.max(1, ids.length - 1))
  const stride = Math.max(1, Math.floor(context / 2))
  const batch = batchFor(model, context)
  const reader = model.reader(context)
  const windows = scoringWindows(ids, { context, batch, bos, stride, mask, documents })
  const rows = await collectTokens(
    windows,
    ({ inputs, targets }) => {
      const logits = reader.logits(tf.tensor2d(inputs, [batch, context], 'int32'))
      return tokenStatistics(logits, tf.tensor1d(targets, 'int32'))
    },
    onBatch,
    async (i) => reader.prepare?.(windows[i]!.inputs),
  )
  reader.dispose()
  const nll = -rows[0]!.reduce((a, b) => a + b, 0)
  const tokens = rows[0]!.length
  const crossEntropy = nll / tokens
  const { accuracy, ece, brier, bins } = calibrationOf('', rows)
  return {
    tokens,
    bytes,
    crossEntropy: measuredOf(crossEntropy),
    perplexity: measuredOf(Math.exp(crossEntropy)),
    bitsPerByte: measuredOf(nll / Math.LN2 / bytes),
    context,
    stride,
    accuracy,
    ece,
    brier,
    bins,
  }
}
