import { badInput } from '#contract'
import { createRandom, type Random } from '../random'
import type { CorpusText } from './corpusText'
import { places } from './growing'
import type { SegmentPool } from './segments/pool'
import { chunksOf, type Sequence, type TokenMask } from './tokens'

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
  /** What each source is drawn by, in their order. */
  weights: readonly number[]
}

/** A corpus, all of it tokenized or drawn by segments. */
export type BatchSource = {
  name: string
  weight: number
} & ({ tokens: WholeText } | { pool: SegmentPool })

/** Steps that are looked ahead to for segments that they need. */
const AHEAD = 128

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
  /** Hears which segments coming steps begin in, the next steps' first; a step's more than once. */
  ahead?: (source: number, segment: number, step: number) => void
}): BatchPlan {
  const { seed, batch, context, sources, ahead } = options
  const draws = sources.map((source) => drawOf(source, context))
  const masked = sources.some((one) =>
    'pool' in one ? one.pool.masked : (one.tokens.mask ?? one.tokens.documents),
  )
  const pooled = sources.some((source) => 'pool' in source)
  // Apart from the places, whose draws need tokens.
  const chosenAt = (step: number) => {
    const random = createRandom(seed, `corpora/${step}`)
    return Array.from({ length: batch }, () => drawByWeight(sources, random))
  }
  let told = 0
  const lookAhead = (step: number) => {
    if (told < step || told > step + AHEAD) told = step
    for (; told <= step + AHEAD; told++) {
      for (const [row, chosen] of chosenAt(told).entries()) {
        const source = sources[chosen]!
        if ('pool' in source) ahead!(chosen, source.pool.segmentOf(told, row), told)
      }
    }
  }

  return {
    weights: sources.map(({ weight }) => weight),
    at(step) {
      const random = createRandom(seed, `batch/${step}`)
      const inputs = new Int32Array(batch * context)
      const targets = new Int32Array(batch * context)
      const corpora = new Int32Array(batch)
      const starts = new Int32Array(batch)
      const mask = masked ? new Float32Array(batch * context) : undefined
      const known = pooled ? chosenAt(step) : undefined
      for (let row = 0; row < batch; row++) {
        const chosen = known?.[row] ?? drawByWeight(sources, random)
        const { ids, mask: counted, start } = draws[chosen]!(random, step, row)
        const targetsOf = ids.subarray(1)
        inputs.set(ids.subarray(0, -1), row * context)
        targets.set(targetsOf, row * context)
        mask?.set(counted?.subarray(1) ?? new Uint8Array(targetsOf.length).fill(1), row * context)
        corpora[row] = chosen
        starts[row] = start
      }
      if (pooled && ahead) lookAhead(step + 1)
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

/** Draws a sequence of a source. */
function drawOf(
  source: BatchSource,
  context: number,
): (random: Random, step: number, row: number) => Sequence {
  if ('pool' in source) return (_, step, row) => source.pool.draw(step, row)
  const place = placesOf(source.name, source.tokens, context)
  const { ids, mask } = source.tokens
  return (random) => {
    const { start, end } = place(random)
    return { ids: ids.subarray(start, end), start, ...(mask && { mask: mask.subarray(start, end) }) }
  }
}

/** Where a sequence begins and ends in a source's ids: its inputs without the last, its targets without the first. */
interface Place {
  start: number
  end: number
}

type WholeText = Pick<CorpusText, 'ids' | 'mask' | 'documents'>

/** How many tokens of a document count in its first `context` targets. */
const countedOf = ({ mask }: WholeText, { start, end }: Place) =>
  mask ? mask.subarray(start + 1, end).reduce((sum, one) => sum + one, 0) : end - start - 1

/** The first of a document's tokens, as many as a sequence holds. */
export function cutDocuments(documents: Int32Array, context: number): Place[] {
  return Array.from({ length: documents.length / 2 }, (_, i) => {
    const [start, end] = [documents[2 * i]!, documents[2 * i + 1]!]
    return { start, end: Math.min(end, start + context + 1) }
  })
}

/** Draws a place of a text that is tokenized. */
function placesOf(name: string, tokens: WholeText, context: number): (random: Random) => Place {
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
  const firsts = places()
  const before = places()
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
  const [begins, sums] = [firsts.all.slice(), before.all.slice()]
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
