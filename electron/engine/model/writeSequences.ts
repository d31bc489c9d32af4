import { badInput } from '#contract'
import type { Random } from '../random'
import type { LanguageModel } from './reader'
import { nextToken, type Sampling } from './sampling'

export interface WriteOptions extends Sampling {
  /** Written of each sequence at most, or of each its own number. */
  tokens: number | readonly number[]
  /** Tokens that end a sequence. */
  ends: readonly number[]
  /** The stream that a sequence draws from: of its own, so that it does not matter which others are written. */
  random: (row: number) => Random
  /** Called for each token as it is written, with the logits [vocab] that it comes from; of one sequence in their order. */
  onToken?: (row: number, id: number, logits: Float32Array) => void
}

/**
 * Continues prompts by what the model is now. A sequence ends with its end token or at its limit. When a context is
 * full, the last half of it is read anew and the sequence goes on from there.
 *
 * @param prompts tokens, BOS where the model wants one; a prompt longer than the context loses its beginning
 * @returns of each prompt what was written, with the end token, if that was
 * @throws bad-input where a prompt has no token
 */
export async function writeSequences(
  model: Pick<LanguageModel, 'textReader'>,
  prompts: readonly (readonly number[])[],
  options: WriteOptions,
): Promise<number[][]> {
  const { tokens, ends, random, onToken } = options
  const empty = prompts.findIndex((prompt) => !prompt.length)
  if (empty >= 0) throw badInput('the prompt is empty', { field: `prompts[${empty}]` })
  const reader = model.textReader()
  const written: number[][] = []
  try {
    for (const [row, prompt] of prompts.entries()) {
      const most = typeof tokens === 'number' ? tokens : tokens[row]!
      const own = random(row)
      const ids: number[] = []
      written.push(ids)
      const window = prompt.slice(-reader.context)
      reader.reset()
      let unread: readonly number[] = window
      while (ids.length < most) {
        const logits = await reader.read(unread)
        const id = nextToken(logits, options, own)
        ids.push(id)
        window.push(id)
        onToken?.(row, id, logits)
        if (ends.includes(id)) break
        unread = [id]
        if (reader.position < reader.context) continue
        window.splice(0, window.length - Math.floor(reader.context / 2))
        reader.reset()
        unread = window
      }
    }
  } finally {
    reader.dispose()
  }
  return written
}
