import { countedSpans, partOf, type AlignedBatch } from '../data/spanWindow'
import type { ForeignTeacher, ReadBatch } from '../teachers/foreign'
import { countedPart, type Counted, type Masks } from './mask'

/** Token ids and next-token labels of one step, [sequences * time] each. */
export interface TokenBatch extends Masks {
  inputs: Int32Array
  targets: Int32Array
  /** Where sequences hold several examples: each token's in its own, from 0, [sequences * time]. */
  positions?: Int32Array
  /** Where each sequence is from; asked for where teachers are routed, or have other tokenizers. */
  corpora?: Int32Array
  starts?: Int32Array
}

/** With the tokens' weights, the teachers', [tokens * K], where they are drawn or routed, and what foreign ones read. */
export interface StepBatch extends Omit<TokenBatch, keyof Masks>, Counted {
  drawn?: Float32Array
  foreign: readonly ReadBatch[]
}

/** One of `count` parts of a step's batch, whole sequences each. */
export function partOfBatch(batch: StepBatch, i: number, count: number): StepBatch {
  const { inputs, targets, positions, corpora, drawn, foreign } = batch
  const part = <T extends Int32Array | Float32Array | undefined>(all: T) =>
    all?.subarray((i * all.length) / count, ((i + 1) * all.length) / count) as T
  const size = inputs.length / count
  return {
    inputs: part(inputs),
    targets: part(targets),
    positions: part(positions),
    corpora: part(corpora),
    ...countedPart(batch, i * size, (i + 1) * size),
    drawn: part(drawn),
    foreign: foreign.map((one) => partOf(one, i, count)),
  }
}

/** What a teacher of another tokenizer reads of a batch. */
export function aligned(teacher: ForeignTeacher, { corpora, starts, mask }: TokenBatch): AlignedBatch {
  const read = teacher.read({ split: 'train', corpora: corpora!, starts: starts! })
  return mask ? countedSpans(read, mask) : read
}
