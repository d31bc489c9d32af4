import type { ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { logProbabilities } from '../distill/divergence'
import { labelLogProbabilities } from '../distill/losses'
import { createTables, forward } from '../model/llama'
import { scoringWindows } from './windows'

export interface Score {
  /** Predicted tokens. */
  tokens: number
  bytes: number
  /** Nats per predicted token. */
  crossEntropy: number
  perplexity: number
  bitsPerByte: number
}

/** Windows computed at a time; bounds the logits that exist at once. */
const LOGITS = 4_000_000

/**
 * Scores token ids with a model: every token after the first once, by sliding windows of the model's context (at most
 * `maxContext`). Sums in float64.
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
  const batch = Math.max(1, Math.min(16, Math.floor(LOGITS / (context * config.vocab))))
  const tables = createTables(config, context)
  const windows = scoringWindows(ids, { context, batch, bos })
  let nll = 0
  let tokens = 0
  for (const [i, window] of windows.entries()) {
    const values = tf.tidy(() => {
      const { logits } = forward(
        config,
        parameters,
        tf.tensor2d(window.inputs, [batch, context], 'int32'),
        tables,
      )
      return tf.neg(labelLogProbabilities(logProbabilities(logits, 1), tf.tensor1d(window.targets, 'int32')))
    })
    const perToken = await values.data()
    values.dispose()
    for (const [j, value] of perToken.entries()) {
      if (!window.weights[j]) continue
      nll += value
      tokens++
    }
    onBatch((i + 1) / windows.length)
  }
  tables.dispose()
  const crossEntropy = nll / tokens
  return {
    tokens,
    bytes,
    crossEntropy,
    perplexity: Math.exp(crossEntropy),
    bitsPerByte: nll / Math.LN2 / bytes,
  }
}
