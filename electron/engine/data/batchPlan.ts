import { badInput } from '#contract'
import { createRandom, type Random } from '../random'
import type { CorpusText } from './corpusText'
import { places } from './growing'
import { countFrom, cutDocuments, type Place } from './packing'
import type { SegmentPool } from './segments/pool'
import { chunksOf, type Sequence, type TokenMask } from './tokens'

export interface Batch {
  /** [batch * context], sequence after sequence. */
  inputs: Int32Array
  /** The next tokens, [batch * context]. */
  targets: Int32Array
  /** 1 where the target counts, 0 where not, as in padding; absent where all of every corpus do. */
  mask?: Float32Array
  /**
   * Where sequences may hold several examples: each token's in its own, [batch * context]. An example begins where it is
   * 0, the padding after the last one too.
   */
  positions?: Int32Array
  /** Which source each sequence is from, [batch]. */
  corpora: Int32Array
  /** Where in its source's ids each sequence's first example begins, [batch]. */
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
} & (
  | {
      tokens: WholeText
      /** Examples that share sequences. */
      packed?: readonly Place[][]
    }
  | { pool: SegmentPool }
)

/** Steps that are looked ahead to for segments that they need. */
const AHEAD = 128

/**
 * Draws each sequence's corpus by weight and its place uniformly, from a random stream of the step's own: any step
 * can be computed without those before it, so a resumed run reads what an undisturbed one would have. Of a corpus that
 * is read by documents a sequence is one of them, cut or filled up; of a packed one some of them, always the same
 * together; of a masked one no sequence is without a target that counts.
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
  const packs = sources.some((source) => ('pool' in source ? source.pool.packs : source.packed))
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
        if (!('pool' in source)) continue
        for (const segment of source.pool.segmentsOf(told, row)) ahead!(chosen, segment, told)
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
      const positions = packs ? new Int32Array(batch * context) : undefined
      const known = pooled ? chosenAt(step) : undefined
      for (let row = 0; row < batch; row++) {
        const chosen = known?.[row] ?? drawByWeight(sources, random)
        const examples = draws[chosen]!(random, step, row)
        let at = row * context
        for (const { ids, mask: counted } of examples) {
          const targetsOf = ids.subarray(1)
          inputs.set(ids.subarray(0, -1), at)
          targets.set(targetsOf, at)
          mask?.set(counted?.subarray(1) ?? new Uint8Array(targetsOf.length).fill(1), at)
          if (positions) countFrom(positions, at, at + targetsOf.length)
          at += targetsOf.length
        }
        if (positions) countFrom(positions, at, (row + 1) * context)
        corpora[row] = chosen
        starts[row] = examples[0]!.start
      }
      if (pooled && ahead) lookAhead(step + 1)
      return { inputs, targets, ...(mask && { mask }), ...(positions && { positions }), corpora, starts }
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

/** Draws a sequence of a source: the examples that it holds. */
function drawOf(
  source: BatchSource,
  context: number,
): (random: Random, step: number, row: number) => Sequence[] {
  if ('pool' in source) return (_, step, row) => source.pool.draw(step, row)
  const { packed } = source
  const { ids, mask } = source.tokens
  const place = packed ? undefined : placesOf(source.name, source.tokens, context)
  return (random) => {
    const examples = packed ? packed[random.integer(packed.length)]! : [place!(random)]
    return examples.map(({ start, end }) => ({
      ids: ids.subarray(start, end),
      start,
      ...(mask && { mask: mask.subarray(start, end) }),
    }))
  }
}

type WholeText = Pick<CorpusText, 'ids' | 'mask' | 'documents'>

/** How many tokens of a document count in its first `context` targets. */
const countedOf = ({ mask }: WholeText, { start, end }: Place) =>
  mask ? mask.subarray(start + 1, end).reduce((sum, one) => sum + one, 0) : end - start - 1

/**
 * The documents of which something counts, each cut to a sequence.
 *
 * @throws bad-input where there is none
 */
export function usableDocuments(name: string, tokens: WholeText, context: number): Place[] {
  const usable = cutDocuments(tokens.documents!, context).filter((place) => countedOf(tokens, place) > 0)
  if (usable.length) return usable
  throw nothingCounts(name, context)
}

const refused = (name: string, what: string, expected: string) =>
  badInput(`the training split of corpus "${name}" ${what}`, { field: 'corpus', expected })

const nothingCounts = (name: string, context: number) =>
  refused(name, `has nothing that counts in ${context} tokens`, 'an answer within train.context')

/** Draws a place of a text that is tokenized. */
function placesOf(name: string, tokens: WholeText, context: number): (random: Random) => Place {
  if (tokens.documents) {
    const usable = usableDocuments(name, tokens, context)
    return (random) => usable[random.integer(usable.length)]!
  }
  const { length } = tokens.ids
  if (length <= context)
    throw refused(name, `has ${length} tokens`, `more than one context of ${context} tokens`)
  const draw = (random: Random): Place => {
    const start = random.integer(length - context)
    return { start, end: start + context + 1 }
  }
  if (!tokens.mask) return draw
  const starts = startsThatCount(tokens.mask, length, context)
  if (!starts.total) throw nothingCounts(name, context)
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
