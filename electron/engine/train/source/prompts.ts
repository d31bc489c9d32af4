import { badInput, drawnWeight, tokenReadingOf, type RunConfig, type TrainSource } from '#contract'
import { drawByWeight } from '../../data/batchPlan'
import { textAs, type CorpusText } from '../../data/corpusText'
import type { TokenFile } from '../../data/tokenFile'
import { chunksOf, type TokenIds } from '../../data/tokens'
import { createRandom } from '../../random'

/** What the student goes on from. */
export interface Prompt {
  /** Begins as its document does, with BOS or what its template writes. */
  ids: number[]
  /** Which of the run's corpora it is from, and where in its ids it begins. */
  corpus: number
  start: number
}

/** Prompts in their corpus: [begin, end, begin, end, ...] in its ids. */
export interface PromptSource {
  corpus: number
  weight: number
  ids: TokenIds
  places: Int32Array
  /** At which a text of this corpus ends, beside the tokenizer's own ends. */
  ends: readonly number[]
}

/**
 * The prompts of the corpora that a definition draws from.
 *
 * @param tokens of each of the run's corpora, to train on
 * @throws bad-input where a corpus has none that leaves room for what is to be written
 */
export function promptsOf(
  { experiment, corpora }: RunConfig,
  tokens: readonly (TokenFile | undefined)[],
): PromptSource[] {
  const { source, context, mixture } = experiment.train
  const sources: PromptSource[] = []
  for (const [corpus, { row, reading = tokenReadingOf(row), weight }] of corpora.entries()) {
    if (source.prompts.corpus !== undefined && source.prompts.corpus !== row.name) continue
    const apart = { ...reading, loss: row.conversations ? 'assistant' : 'all', packing: 'documents' } as const
    // Whose student writes tokenizes all of its text.
    const text = textAs(tokens[corpus]!, apart)
    const places = text.mask ? answers(text, context - source.tokens) : beginnings(text, source)
    if (!places.length) {
      throw badInput(`corpus "${row.name}" has no prompt`, {
        field: 'train.source.prompts',
        expected: text.mask
          ? `a conversation with at most ${context - source.tokens} tokens before an answer`
          : `a document with more than ${source.prompts.tokens} tokens`,
      })
    }
    const drawn = drawnWeight(weight, text.ids.length, mixture)
    sources.push({ corpus, weight: drawn, ids: text.ids, places, ends: text.mask ? turnEnds(text) : [] })
  }
  return sources
}

/** The first tokens of every document that has more. */
function beginnings({ documents }: CorpusText, { prompts }: TrainSource): Int32Array {
  const places: number[] = []
  for (let i = 0; i < documents!.length; i += 2) {
    const [start, end] = [documents![i]!, documents![i + 1]!]
    const stop = start + 1 + prompts.tokens
    if (stop < end) places.push(start, stop)
  }
  return Int32Array.from(places)
}

/** All that stands before each answer of a conversation, where that is no more than there is room for. */
function answers({ documents, mask }: CorpusText, room: number): Int32Array {
  const places: number[] = []
  for (let i = 0; i < documents!.length; i += 2) {
    const [start, end] = [documents![i]!, documents![i + 1]!]
    const counted = mask!.subarray(start, Math.min(end, start + room + 1))
    for (let at = 1; at < counted.length; at++)
      if (counted[at] && !counted[at - 1]) places.push(start, start + at)
  }
  return Int32Array.from(places)
}

/** The token with which answers end, where all of them end with one. */
function turnEnds({ ids, mask }: CorpusText): number[] {
  const ends = new Set<number>()
  let last: number | undefined
  for (const [part, from] of chunksOf(ids, ids.length)) {
    const counted = mask!.subarray(from, from + part.length)
    for (let at = 0; at < part.length; at++) {
      if (!counted[at] && last !== undefined) ends.add(last)
      last = counted[at] ? part[at] : undefined
    }
  }
  if (last !== undefined) ends.add(last)
  return ends.size === 1 ? [...ends] : []
}

/** Draws the prompts of a step: a pure function of the seed and the step. */
export function drawPrompts(
  sources: readonly PromptSource[],
  seed: number,
  step: number,
  count: number,
): Prompt[] {
  const random = createRandom(seed, `prompts/${step}`)
  return Array.from({ length: count }, () => {
    const { corpus, ids, places } = sources[drawByWeight(sources, random)]!
    const place = 2 * random.integer(places.length / 2)
    const [start, end] = [places[place]!, places[place + 1]!]
    return { corpus, start, ids: [...ids.subarray(start, end)] }
  })
}
