import { badInput } from '#contract'
import { createRandom, type Random } from '../random'
import type { LanguageModel, TextReader } from './reader'
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

/** Always the likeliest token: nothing is drawn. */
export const GREEDY = { temperature: 0, topP: 1, random: () => createRandom(0, 'nothing') }

type Prompts = readonly (readonly number[])[]

/** Prompts that are continued side by side at most. */
const TOGETHER = 32

/**
 * Continues prompts by what the model is now, up to 32 side by side; where one has ended the next one begins. A sequence
 * ends with its end token or at its limit. When a context is full, the last half of it is read anew and the sequence
 * goes on from there.
 *
 * @param prompts tokens, BOS where the model wants one; a prompt longer than the context loses its beginning
 * @returns of each prompt what was written, with the end token, if that was: the same, bit for bit, whatever else is
 * written, even nothing
 * @throws bad-input where a prompt has no token
 */
export async function writeSequences(
  model: Pick<LanguageModel, 'textReader'>,
  prompts: Prompts,
  options: WriteOptions,
): Promise<number[][]> {
  const longest = prompts.reduce((most, { length }, row) => Math.max(most, length + limitOf(options, row)), 0)
  return write(model.textReader({ texts: TOGETHER, length: longest }), prompts, options)
}

/** Continues one prompt alone: the fastest for one, but rounded otherwise than beside others. */
export async function writeAlone(
  model: Pick<LanguageModel, 'textReader'>,
  prompt: readonly number[],
  options: WriteOptions,
): Promise<number[]> {
  const length = prompt.length + limitOf(options, 0)
  const [written] = await write(model.textReader({ texts: 'one', length }), [prompt], options)
  return written!
}

interface Sequence {
  row: number
  /** What of it the model has read, or is to read. */
  window: number[]
  unread: readonly number[]
  random: Random
}

async function write(reader: TextReader, prompts: Prompts, options: WriteOptions): Promise<number[][]> {
  const { ends, random, onToken } = options
  const { context, width } = reader
  const written = prompts.map((): number[] => [])
  const waiting = [...prompts.keys()].filter((row) => limitOf(options, row) > 0).reverse()
  let live: Sequence[] = []
  try {
    const empty = prompts.findIndex((prompt) => !prompt.length)
    if (empty >= 0) throw badInput('the prompt is empty', { field: `prompts[${empty}]` })
    for (;;) {
      while (live.length < width && waiting.length) {
        const row = waiting.pop()!
        const window = prompts[row]!.slice(-context)
        live.push({ row, window, unread: window, random: random(row) })
      }
      if (!live.length) return written
      const said = await reader.read(live.map(({ row, unread }) => ({ text: row, ids: unread })))
      live = live.filter((sequence, i) => {
        const { row, window } = sequence
        const id = nextToken(said[i]!, options, sequence.random)
        written[row]!.push(id)
        onToken?.(row, id, said[i]!)
        if (ends.includes(id) || written[row]!.length === limitOf(options, row)) {
          reader.forget(row)
          return false
        }
        window.push(id)
        sequence.unread = [id]
        if (reader.position(row) === context) {
          window.splice(0, window.length - Math.floor(context / 2))
          reader.forget(row)
          sequence.unread = window
        }
        return true
      })
    }
  } finally {
    reader.dispose()
  }
}

function limitOf({ tokens }: WriteOptions, row: number): number {
  return typeof tokens === 'number' ? tokens : tokens[row]!
}
