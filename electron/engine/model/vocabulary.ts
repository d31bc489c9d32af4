import { badInput, EMBEDDING, HEAD, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import type { Weights } from './weights'

/**
 * A model of which the ids of its tokenizer alone have a probability. Rows beyond them, which many models are padded
 * with, stay in the weights.
 *
 * @param vocab the tokenizer's
 * @throws bad-input when the tokenizer has ids that the model does not know
 */
export function withVocabulary(config: ModelConfig, vocab: number, file: string): ModelConfig {
  const rows = rowsOf(config)
  checkVocabulary(rows, vocab, file)
  const { rows: _, ...rest } = config
  return rows === vocab ? { ...rest, vocab } : { ...rest, vocab, rows }
}

/** Ids that the weights have a row for. */
export const rowsOf = ({ rows, vocab }: Pick<ModelConfig, 'rows' | 'vocab'>): number => rows ?? vocab

/** @throws bad-input when the tokenizer has ids that the model does not know */
export function checkVocabulary(own: number, vocab: number, file: string, field?: string): void {
  if (own >= vocab) return
  throw badInput(`the model has a vocabulary of ${own}, its tokenizer of ${vocab}`, { file, field })
}

/**
 * A model that is asked and not trained, without the rows beyond its tokenizer's ids: views of its tables. Cut in each
 * pass, they would be copied each time.
 */
export function withoutPadding(
  config: ModelConfig,
  weights: Weights,
): { config: ModelConfig; weights: Weights } {
  const { rows, ...rest } = config
  if (!rows) return { config, weights }
  const known: Weights = new Map(weights)
  for (const name of [EMBEDDING, HEAD]) {
    const table = weights.get(name)
    if (!table) continue
    const [, width] = table.shape as [number, number]
    known.set(name, { shape: [config.vocab, width], data: table.data.subarray(0, config.vocab * width) })
  }
  return { config: rest, weights: known }
}

/** Logits [tokens, rows] of the tokenizer's ids alone, [tokens, vocab]. */
export function knownIds(logits: tf.Tensor2D, vocab: number): tf.Tensor2D {
  return logits.shape[1] === vocab ? logits : tf.slice(logits, [0, 0], [-1, vocab])
}
