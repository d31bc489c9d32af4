import { badInput } from '#contract'
import { createRandom } from '../random'
import type { TokenFile } from './tokenFile'

export interface Batch {
  /** [batch * context], sequence after sequence. */
  inputs: Int32Array
  /** The next tokens, [batch * context]. */
  targets: Int32Array
  /** Which source each sequence is from, [batch]. */
  corpora: Int32Array
  /** Where in its source's ids each sequence begins, [batch]. */
  starts: Int32Array
}

export interface BatchPlan {
  /** The batch of a step, from 1 on: a pure function of the seed and the step. */
  at(step: number): Batch
}

export interface BatchSource {
  name: string
  tokens: Pick<TokenFile, 'ids'>
  weight: number
}

/**
 * Draws each sequence's corpus by weight and its place uniformly, from a random stream of the step's own: any step
 * can be computed without those before it, so a resumed run reads what an undisturbed one would have.
 *
 * @throws bad-input when a corpus is shorter than one context
 */
export function createBatchPlan(options: {
  seed: number
  batch: number
  context: number
  sources: readonly BatchSource[]
}): BatchPlan {
  const { seed, batch, context, sources } = options
  for (const { name, tokens } of sources) {
    if (tokens.ids.length > context) continue
    throw badInput(`the training split of corpus "${name}" has ${tokens.ids.length} tokens`, {
      field: 'corpus',
      expected: `more than one context of ${context} tokens`,
    })
  }
  const total = sources.reduce((sum, source) => sum + source.weight, 0)

  return {
    at(step) {
      const random = createRandom(seed, `batch/${step}`)
      const inputs = new Int32Array(batch * context)
      const targets = new Int32Array(batch * context)
      const corpora = new Int32Array(batch)
      const starts = new Int32Array(batch)
      for (let row = 0; row < batch; row++) {
        let draw = random.next() * total
        let chosen = 0
        while (chosen < sources.length - 1 && draw >= sources[chosen]!.weight)
          draw -= sources[chosen++]!.weight
        const { ids } = sources[chosen]!.tokens
        const start = random.integer(ids.length - context)
        inputs.set(ids.subarray(start, start + context), row * context)
        targets.set(ids.subarray(start + 1, start + context + 1), row * context)
        corpora[row] = chosen
        starts[row] = start
      }
      return { inputs, targets, corpora, starts }
    },
  }
}
