import { tf } from '../backend/tf'
import type { ForeignTarget } from '../distill/foreign'
import type { ApartWeights } from '../distill/losses'
import type { FusedTarget } from '../distill/objective'

/** What is said of the tokens of one chunk. */
export interface Part {
  labels: tf.Tensor1D
  /** Of the tokens, [tokens, 1] (`tokenMean`); undefined where all count alike. */
  weights: tf.Tensor2D | undefined
  /** Where the student wrote some of them. */
  apart: ApartWeights | undefined
  target: FusedTarget | undefined
  foreign: readonly ForeignTarget[]
  /** What the student's earlier self says, [tokens, vocab]. */
  retained: tf.Tensor2D | undefined
}

export function fusedOf(parts: readonly Part[]): FusedTarget[] {
  return parts.flatMap(({ target }) => target ?? [])
}

/** All tensors of it, kept beyond the scope in which they are made. */
export function keptAll<T extends object>(container: T): T {
  for (const value of Object.values(container) as unknown[]) {
    if (value instanceof tf.Tensor) tf.keep(value)
    else if (value && typeof value === 'object') keptAll(value)
  }
  return container
}
