import { badInput, type CorpusIndex, type TokenReading } from '#contract'
import { createRandom, type Random } from '../../random'
import { firstAbove } from '../../firstAbove'
import { documentBounds } from '../corpusText'
import { cutDocuments, packed, type Place } from '../packing'
import type { Sequence } from '../tokens'
import { beginsOf, idsOf, joined, maskOf } from '../words'
import { permutation } from './permutation'
import type { Segment } from './indexFile'
import type { SegmentTokens } from './tokens'

/** Steps that draw from the same segments. */
const STEPS = 256
/** What a token is taken to have where it must be known before there are any. */
const BYTES_PER_TOKEN = 4
/** Sequences whose text is packed together, about: with more of them little room is left. */
const PACKED = 16
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

/**
 * What some steps draw from, in its order: segments, each alone, or as many as are packed together; `sums` of their
 * weights.
 */
interface Group {
  parts: number[][]
  sums: number[]
}

/**
 * Draws sequences of a corpus of which not all is tokenized. Its segments go by in a seeded order, anew for each time
 * that all were read; STEPS steps draw from as many of them as they read text, so that nearly all that is tokenized is
 * read, and each step from places all over the corpus. Within its group a sequence is drawn as from a whole text: a
 * segment by its bytes (known from the import), a place in it uniformly, on into the next one where it ends. Of a packed
 * corpus some segments that follow each other in the group are packed together, and one of the sequences is drawn.
 *
 * Which segments a step draws is a function of the seed and the step; the places in them are one of their tokens too,
 * which are made when they are drawn, if nobody has yet: how far a tokenizer has come decides nothing.
 */
export class SegmentPool {
  readonly masked: boolean
  /** Whether a sequence may hold several examples. */
  readonly packs: boolean
  private readonly size: number
  private readonly groups = new Map<number, Group>()
  private order: { round: number; at: (place: number) => number } | undefined

  constructor(private readonly options: PoolOptions) {
    const { index, reading, conversations, sequences, context, name } = options
    this.masked = reading.packing !== 'windows' || (conversations && reading.loss === 'assistant')
    this.packs = reading.packing === 'packed'
    if (!index.bytes) throw this.refused(`of corpus "${name}" is empty`, 'a document to train on')
    const needed = this.byDocuments
      ? (STEPS * sequences) / index.documents
      : (STEPS * sequences * context * BYTES_PER_TOKEN) / index.bytes
    this.size = Math.min(index.segments, Math.max(1, Math.ceil(needed * index.segments)))
  }

  /** The segments that a row of a step is of, or begins in. */
  segmentsOf(step: number, row: number): readonly number[] {
    const { parts, sums } = this.groupOf(step)
    return parts[chosen(sums, this.random(step, row))]!
  }

  /** The examples of a sequence. */
  draw(step: number, row: number): Sequence[] {
    const group = this.groupOf(step)
    const random = this.random(step, row)
    for (let tries = 0; tries < TRIES; tries++) {
      const place = chosen(group.sums, random)
      const sequence = this.packs
        ? this.several(group, place, random)
        : this.byDocuments
          ? this.document(group, place, random)
          : this.window(group, place, random)
      if (sequence.length) return sequence
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
    const group: Group = { parts: [], sums: [] }
    const together = this.packs ? PACKED * this.options.context * BYTES_PER_TOKEN : 0
    let sum = 0
    let before = 0
    for (let i = 0; i < this.size || !sum; i++) {
      const place = number * this.size + i
      const segment = this.orderOf(Math.floor(place / index.segments))(place % index.segments)
      const { trainBytes, trainDocuments } = at(segment)
      const weight = this.byDocuments ? trainDocuments : trainBytes
      if (!weight) continue
      sum += weight
      const last = group.parts.at(-1)
      if (last && sum - before <= together) {
        last.push(segment)
        group.sums[group.sums.length - 1] = sum
        continue
      }
      before = sum - weight
      group.parts.push([segment])
      group.sums.push(sum)
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
  private window({ parts }: Group, place: number, random: Random): Sequence[] {
    const { tokens, context, name } = this.options
    const words = new Int32Array(context + 1)
    const first = tokens.at(parts[place]![0]!)
    const start = random.integer(first.length)
    let filled = 0
    for (let i = 0; filled < words.length; i++) {
      const own = tokens.at(parts[(place + i) % parts.length]![0]!)
      const part = (i ? own : own.subarray(start)).subarray(0, words.length - filled)
      words.set(part, filled)
      filled += part.length
      if (i === parts.length && filled < words.length)
        throw this.refused(
          `of corpus "${name}" has ${filled} tokens`,
          `more than one context of ${context} tokens`,
        )
    }
    return this.counted(words, start)
  }

  /** One document of a segment, as far as it goes; none where there is no second token, or nothing counts. */
  private document({ parts }: Group, place: number, random: Random): Sequence[] {
    const words = this.options.tokens.at(parts[place]![0]!)
    const documents = this.documents(words)
    const { start, end } = documents[random.integer(documents.length)]!
    return this.counted(words.subarray(start, end), start)
  }

  /** The examples of one of the sequences that a part's documents make, each in one of them. */
  private several({ parts }: Group, place: number, random: Random): Sequence[] {
    const { tokens, context, seed } = this.options
    const segments = parts[place]!
    const words = joined(segments.map((segment) => tokens.at(segment)))
    const usable = this.documents(words).filter(
      ({ start, end }) => this.counted(words.subarray(start, end), start).length,
    )
    if (!usable.length) return []
    const sequences = packed(usable, context, createRandom(seed, `packed/${segments.join()}`))
    return sequences[random.integer(sequences.length)]!.flatMap(({ start, end }) =>
      this.counted(words.subarray(start, end), start),
    )
  }

  /** The documents of some words, each as much of it as a sequence holds. */
  private documents(words: Int32Array): Place[] {
    const { tokens, context, conversations } = this.options
    const begins = conversations ? Int32Array.from(beginsOf(words)) : undefined
    return cutDocuments(documentBounds(words, tokens.bos, begins), context)
  }

  /** A text of some words; none where no target of it counts. */
  private counted(words: Int32Array, start: number): Sequence[] {
    const { conversations, reading } = this.options
    if (words.length < 2) return []
    if (!conversations) return [{ ids: words, start }]
    const ids = idsOf(words)
    if (reading.loss === 'all') return [{ ids, start }]
    const mask = maskOf(words)
    return mask.subarray(1).some((one) => one > 0) ? [{ ids, start, mask }] : []
  }

  private refused(what: string, expected: string): Error {
    return badInput(`the training split ${what}`, { field: 'corpus', expected })
  }
}

/** Which of the weights that were summed a draw falls on. */
const chosen = (sums: readonly number[], random: Random) =>
  firstAbove(sums, random.next() * sums[sums.length - 1]!)
