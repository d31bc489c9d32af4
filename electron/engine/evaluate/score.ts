import type { ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/llama'
import { calibrationOf, collectTokens, tokenStatistics } from './tokenScores'
import { scoringWindows } from './windows'

export interface Score {
  /** Predicted tokens. */
  tokens: number
  bytes: number
  /** Nats per predicted token. */
  crossEntropy: number
  perplexity: number
  bitsPerByte: number
  /** Tokens a window, and between the starts of two. */
  context: number
  stride: number
  /** Top-1 accuracy, 0..1. */
  accuracy: number
  ece: number
  brier: number
}

/** Windows computed at a time; bounds the logits that exist at once. */
const LOGITS = 4_000_000

/** Rows of `context` tokens to compute at a time. */
export function batchFor(config: ModelConfig, context: number): number {
  return Math.max(1, Math.min(16, Math.floor(LOGITS / (context * config.vocab))))
}

/**
 * Scores token ids with a model: every token after the first once, by sliding windows of the model's context (at most
 * `maxContext`) that advance by half of it. Sums in float64.
 *
 * @param bos separates documents and is not scored
 * @param bytes UTF-8 bytes of the scored text
 */
export async function scoreIds(
  config: ModelConfig,
  parameters: ReadonlyMap<string, tf.Tensor>,
  ids: Int32Array,
  { bos, bytes, maxContext = 512 }: { bos: number; bytes: number; maxContext?: number },
  onBatch: (fraction: number) => void = () => {},
): Promise<Score> {
  const context = Math.min(config.context, maxContext, Math.max(1, ids.length - 1))
  const stride = Math.max(1, Math.floor(context / 2))
  const batch = batchFor(config, context)
  const tables = createTables(config, context)
  const rows = await collectTokens(
    scoringWindows(ids, { context, batch, bos, stride }),
    ({ inputs, targets }) => {
      const { logits } = forward(config, parameters, tf.tensor2d(inputs, [batch, context], 'int32'), tables)
      return tokenStatistics(logits, tf.tensor1d(targets, 'int32'))
    },
    onBatch,
  )
  tables.dispose()
  const nll = -rows[0]!.reduce((a, b) => a + b, 0)
  const tokens = rows[0]!.length
  const crossEntropy = nll / tokens
  const { accuracy, ece, brier } = calibrationOf('', rows)
  return {
    tokens,
    bytes,
    crossEntropy,
    perplexity: Math.exp(crossEntropy),
    bitsPerByte: nll / Math.LN2 / bytes,
    context,
    stride,
    accuracy,
    ece,
    brier,
  }
}
