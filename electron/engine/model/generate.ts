import { badInput } from '#contract'
import { createRandom } from '../random'
import type { LanguageModel } from './reader'
import type { Sampling } from './sampling'
import { writeAlone } from './writeSequences'

export interface GenerateOptions extends Sampling {
  model: Pick<LanguageModel, 'textReader'>
  /** Begins with BOS. */
  promptIds: readonly number[]
  tokens: number
  seed: number
  /** Ends the text early, not part of it. */
  stopIds?: readonly number[]
  /** With the logits [vocab] that it was chosen from. */
  onToken?: (id: number, logits: Float32Array) => void
}

/** Continues one prompt, and times it. */
export async function generate(
  options: GenerateOptions,
): Promise<{ ids: number[]; tokensPerSecond: number }> {
  const { model, promptIds, seed, stopIds: ends = [], onToken } = options
  if (!promptIds.length) throw badInput('the prompt is empty', { field: 'prompt' })
  const started = performance.now()
  const written = await writeAlone(model, promptIds, {
    ...options,
    ends,
    random: () => createRandom(seed, 'generate'),
    onToken: (_, id, logits) => {
      if (!ends.includes(id)) onToken?.(id, logits)
    },
  })
  const ids = written.filter((id) => !ends.includes(id))
  return { ids, tokensPerSecond: ids.length / ((performance.now() - started) / 1000) }
}
