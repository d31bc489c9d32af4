import { badInput, type CorpusIndex, type TokenReading } from '#contract'
import { createRandom, type Random } from '../../random'
import { firstAbove } from '../../firstAbove'
import { documentBounds } from '../corpusText'
import type { Sequence } from '../tokens'
import { beginsOf, idsOf, maskOf } from '../words'
import { permutation } from './permutation'
import type { Segment } from './indexFile'
import type { SegmentTokens } from './tokens'

/** Steps that draw from the same segments. */
const STEPS = 256
/** What a token is taken to have where it must be known before there are any. */
const BYTES_PER_TOKEN = 4
/** Draws after which there is taken to be nothing that counts. */
const TRIES = 10_000

export interface PoolOptions {
  name: string
  index: CorpusIndex
  /** Rows of the index. */
  at(segment: number): Pick<Segment, 'trainBytes' | 'trainDocuments'>
  tokens: Pick<SegmentTokens, 'at' | 'bos'>
  conversations: boolean
  reading: TokenReading
  seed: number
  context: number
  /** Sequences a step, of this corpus, on average. */
  sequences: number
}

/** Segments that some steps draw from, in their order; `sums` of their weights. */
interface Group {
  segments: number[]
  sums: number[]
}

/**
 * Draws sequences of a corpus of which not all is tokenized. Its segments go by in a seeded order, anew for each time
 * that all were read; STEPS steps draw from as many of them as they read text, so that nearly all that is tokenized is
 * read, and each step from places all over the corpus. Within its group a sequence is drawn as from a whole text: a
 * segment by its bytes (known from the import), a place in it uniformly, on into the next one where it ends.
 *
 * Which segments a step draws is a function of the seed and the step; the places in them are one of their tokens too,
 * which are made when they are drawn, if nobody has yet: how far a tokenizer has come decides nothing.
 */
export class SegmentPool {
  readonly masked: boolean
  private readonly size: number
  private readonly groups = new Map<number, Group>()
  private order: { round: number; at: (place: number) => number } | undefined

  constructor(private readonly options: PoolOptions) {
    const { index, reading, conversations, sequences, context, name } = options
    this.masked = this.byDocuments || (conversations && reading.loss === 'assistant')
    if (!index.bytes) throw this.refused(`of corpus "${name}" is empty`, 'a document to train on')
    const needed = this.byDocuments
      ? (STEPS * sequences) / index.documents
      : (STEPS * sequences * context * BYTES_PER_TOKEN) / index.bytes
    this.size = Math.min(index.segments, Math.max(1, Math.ceil(needed * index.segments)))
  }

  /** The segment that a row of a step begins in. */
  segmentOf(step: number, row: number): number {
    const { segments, sums } = this.groupOf(step)
    return segments[chosen(sums, this.random(step, row))]!
  }

  draw(step: number, row: number): Sequence {
    const group = this.groupOf(step)
    const random = this.random(step, row)
    for (let tries = 0; tries < TRIES; tries++) {
      const place = chosen(group.sums, random)
      const sequence = this.byDocuments
        ? this.document(group, place, random)
        : this.window(group, place, random)
      if (sequence?.mask?.subarray(1).some((one) => one > 0) ?? sequence) return sequence!
    }
    const { name, context } = this.options
    throw this.refused(
      `of corpus "${name}" has nothing that counts in ${context} tokens`,
      'an answer within train.context',
    )
  }

  private get byDocuments(): boolean {
    return this.options.reading.packing === 'documents'
  }

  /** Its first number chooses the segment. */
  private random(step: number, row: number): Random {
    return createRandom(this.options.seed, `segment/${step}/${row}`)
  }

  private groupOf(step: number): Group {
    const number = Math.floor((step - 1) / STEPS)
    let group = this.groups.get(number)
    if (!group) {
      group = this.gathered(number)
      this.groups.set(number, group)
      // This one, and the next, which is looked ahead to.
      for (const other of this.groups.keys()) if (Math.abs(other - number) > 1) this.groups.delete(other)
    }
    return group
  }

  private gathered(number: number): Group {
    const { index, at } = this.options
    const group: Group = { segments: [], sums: [] }
    let sum = 0
    for (let i = 0; i < this.size || !sum; i++) {
      const place = number * this.size + i
      const segment = this.orderOf(Math.floor(place / index.segments))(place % index.segments)
      const { trainBytes, trainDocuments } = at(segment)
      const weight = this.byDocuments ? trainDocuments : trainBytes
      if (!weight) continue
      group.segments.push(segment)
      group.sums.push((sum += weight))
    }
    return group
  }

  /** The order in which the segments go by in a round, which has each of them once. */
  private orderOf(round: number): (place: number) => number {
    const { index, seed } = this.options
    if (this.order?.round !== round)
      this.order = { round, at: permutation(index.segments, seed, `segments/${index.digest}/${round}`) }
    return this.order.at
  }

  /** From anywhere in a segment on, over the segments that follow it in the group. */
  private window({ segments }: Group, place: number, random: Random): Sequence {
    const { tokens, context, name } = this.options
    const words = new Int32Array(context + 1)
    const first = tokens.at(segments[place]!)
    const start = random.integer(first.length)
    let filled = 0
    for (let i = 0; filled < words.length; i++) {
      const own = tokens.at(segments[(place + i) % segments.length]!)
      const part = (i ? own : own.subarray(start)).subarray(0, words.length - filled)
      words.set(part, filled)
      filled += part.length
      if (i === segments.length && filled < words.length)
        throw this.refused(
          `of corpus "${name}" has ${filled} tokens`,
          `more than one context of ${context} tokens`,
        )
    }
    return this.sequence(words, start)
  }

  /** One document of a segment, as far as it goes; undefined where there is no second token. */
  private document({ segments }: Group, place: number, random: Random): Sequence | undefined {
    const { tokens, context, conversations } = this.options
    const words = tokens.at(segments[place]!)
    const begins = conversations ? Int32Array.from(beginsOf(words)) : undefined
    const bounds = documentBounds(words, tokens.bos, begins)
    const own = 2 * random.integer(bounds.length / 2)
    const [start, end] = [bounds[own]!, bounds[own + 1]!]
    if (end - start < 2) return undefined
    return this.sequence(words.subarray(start, Math.min(end, start + context + 1)), start)
  }

  private sequence(words: Int32Array, start: number): Sequence {
    const { conversations, reading } = this.options
    if (!conversations) return { ids: words, start }
    return { ids: idsOf(words), start, ...(reading.loss === 'assistant' && { mask: maskOf(words) }) }
  }

  private refused(what: string, expected: string): Error {
    return badInput(`the training split ${what}`, { field: 'corpus', expected })
  }
}

/** Which of the weights that were summed a draw falls on. */
const chosen = (sums: readonly number[], random: Random) =>
  firstAbove(sums, random.next() * sums[sums.length - 1]!)
