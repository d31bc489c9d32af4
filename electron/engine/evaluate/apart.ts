import { badInput, mean, measuredOf, type Measured } from '#contract'
import { tf } from '../backend/tf'
import { logProbabilities, rowDot } from '../distill/divergence'
import type { LanguageModel } from '../model/reader'
import type { HeldOutText } from './heldOut'
import { batchFor } from './score'
import { collectTokens } from './tokenScores'
import { scoringWindows } from './windows'

const LONGEST = 256

/**
 * How far two models of one tokenizer are apart: KL(p || q) and KL(q || p), nats per token, the means over the tokens that
 * a held-out text scores; by windows of the shorter context, at most 256 tokens.
 *
 * @throws bad-input where they do not say as many tokens
 */
export async function divergences(
  [one, other]: readonly [LanguageModel, LanguageModel],
  { ids, mask, documents }: HeldOutText,
  bos: number,
  onBatch: (fraction: number) => void = () => {},
): Promise<[Measured, Measured]> {
  if (one.vocab !== other.vocab)
    throw badInput(`the models say ${one.vocab} and ${other.vocab} tokens`, { expected: 'as many' })
  const context = Math.min(one.context, other.context, LONGEST, Math.max(1, ids.length - 1))
  // Two tables of logits and of logarithms are there at once.
  const batch = Math.max(1, Math.floor(batchFor(one, context) / 2))
  const readers = [one.reader(context), other.reader(context)] as const
  const windows = scoringWindows(ids, { context, batch, bos, mask, documents })
  const rows = await collectTokens(
    windows,
    ({ inputs }) => {
      const tokens = tf.tensor2d(inputs, [batch, context], 'int32')
      const [p, q] = readers.map((reader) => logProbabilities(reader.logits(tokens), 1)) as [
        tf.Tensor2D,
        tf.Tensor2D,
      ]
      const apart = tf.sub<tf.Tensor2D>(p, q)
      const kl = [rowDot(tf.exp(p), apart), tf.neg(rowDot(tf.exp(q), apart))]
      return tf.stack(kl.map((row) => tf.reshape(row, [-1]))) as tf.Tensor2D
    },
    onBatch,
    async (i) => {
      for (const reader of readers) await reader.prepare?.(windows[i]!.inputs)
    },
  )
  for (const reader of readers) reader.dispose()
  return [measuredOf(mean(rows[0]!)), measuredOf(mean(rows[1]!))]
}
