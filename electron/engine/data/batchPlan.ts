import { badInput } from '#contract'
import { createRandom, type Random } from '../random'
import type { CorpusText } from './corpusText'
import { chunksOf, Places, type TokenMask } from './tokens'

export interface Batch {
  /** [batch * context], sequence after sequence. */
  inputs: Int32Array
  /** The next tokens, [batch * context]. */
  targets: Int32Array
  /** 1 where the target counts, 0 where not, as in padding; absent where all of every corpus do. */
  mask?: Float32Array
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
  tokens: Pick<CorpusText, 'ids' | 'mask' | 'documents'>
  weight: number
}

/**
 * Draws each sequence's corpus by weight and its place uniformly, from a random stream of the step's own: any step
 * can be computed without those before it, so a resumed run reads what an undisturbed one would have. Of a corpus that
 * is read by documents a sequence is one of them, cut or filled up; of a masked one no sequence is without a target
 * that counts.
 *
 * @throws bad-input when a corpus is shorter than one context, or nothing of it counts
 */
export function createBatchPlan(options: {
  seed: number
  batch: number
  context: number
  sources: readonly BatchSource[]
}): BatchPlan {
  const { seed, batch, context, sources } = options
  const places = sources.map((source) => placesOf(source, context))
  const masked = sources.some(({ tokens }) => tokens.mask ?? tokens.documents)

  return {
    at(step) {
      const random = createRandom(seed, `batch/${step}`)
      const inputs = new Int32Array(batch * context)
      const targets = new Int32Array(batch * context)
      const corpora = new Int32Array(batch)
      const starts = new Int32Array(batch)
      const mask = masked ? new Float32Array(batch * context) : undefined
      for (let row = 0; row < batch; row++) {
        const chosen = drawByWeight(sources, random)
        const { ids, mask: counted } = sources[chosen]!.tokens
        const { start, end } = places[chosen]!(random)
        inputs.set(ids.subarray(start, end - 1), row * context)
        targets.set(ids.subarray(start + 1, end), row * context)
        mask?.set(counted?.subarray(start + 1, end) ?? new Uint8Array(end - start - 1).fill(1), row * context)
        corpora[row] = chosen
        starts[row] = start
      }
      return { inputs, targets, ...(mask && { mask }), corpora, starts }
    },
  }
}

/** The place of one of several that are drawn by their weights. */
export function drawByWeight(sources: readonly { weight: number }[], random: Random): number {
  let draw = random.next() * sources.reduce((sum, { weight }) => sum + weight, 0)
  let chosen = 0
  while (chosen < sources.length - 1 && draw >= sources[chosen]!.weight) draw -= sources[chosen++]!.weight
  return chosen
}

/** Where a sequence begins and ends in a source's ids: its inputs without the last, its targets without the first. */
interface Place {
  start: number
  end: number
}

/** How many tokens of a document count in its first `context` targets. */
const countedOf = ({ mask }: BatchSource['tokens'], { start, end }: Place) =>
  mask ? mask.subarray(start + 1, end).reduce((sum, one) => sum + one, 0) : end - start - 1

/** The first of a document's tokens, as many as a sequence holds. */
export function cutDocuments(documents: Int32Array, context: number): Place[] {
  return Array.from({ length: documents.length / 2 }, (_, i) => {
    const [start, end] = [documents[2 * i]!, documents[2 * i + 1]!]
    return { start, end: Math.min(end, start + context + 1) }
  })
}

/** Draws a sequence of a source. */
function placesOf({ name, tokens }: BatchSource, context: number): (random: Random) => Place {
  const refused = (what: string, expected: string) =>
    badInput(`the training split of corpus "${name}" ${what}`, { field: 'corpus', expected })
  const none = () => refused(`has nothing that counts in ${context} tokens`, 'an answer within train.context')
  if (tokens.documents) {
    const usable = cutDocuments(tokens.documents, context).filter((place) => countedOf(tokens, place) > 0)
    if (!usable.length) throw none()
    return (random) => usable[random.integer(usable.length)]!
  }
  const { length } = tokens.ids
  if (length <= context) throw refused(`has ${length} tokens`, `more than one context of ${context} tokens`)
  const draw = (random: Random): Place => {
    const start = random.integer(length - context)
    return { start, end: start + context + 1 }
  }
  if (!tokens.mask) return draw
  const starts = startsThatCount(tokens.mask, length, context)
  if (!starts.total) throw none()
  return (random) => {
    const start = starts.at(random.integer(starts.total))
    return { start, end: start + context + 1 }
  }
}

/** Where a sequence may begin for one of its `context` targets to count, of `length` tokens: how many such places, and each. */
function startsThatCount(mask: TokenMask, length: number, context: number) {
  const firsts = new Places()
  const before = new Places()
  let total = 0
  let end = 0
  for (const [part, at] of chunksOf(mask, length)) {
    for (let i = 0; i < part.length; i++) {
      if (!part[i]) continue
      // Beginnings from `context` before it up to the one before it, as far as they are not counted yet.
      const first = Math.max(end, at + i - context)
      const stop = Math.min(at + i, length - context)
      if (stop <= first) continue
      if (first > end || !total) {
        firsts.push(first)
        before.push(total)
      }
      total += stop - first
      end = stop
    }
  }
  const [begins, sums] = [firsts.done(), before.done()]
  return {
    total,
    at(place: number): number {
      let [low, high] = [0, sums.length - 1]
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if (sums[middle]! > place) high = middle - 1
        else low = middle
      }
      return begins[low]! + place - sums[low]!
    },
  }
}
