import type { AlignedBatch } from '../data/spanWindow'
import type { ForeignTeacher, ReadBatch } from '../teachers/foreign'
import type { Counted, Masks } from './mask'

/** Token ids and next-token labels of one step, [sequences * time] each. */
export interface TokenBatch extends Masks {
  inputs: Int32Array
  targets: Int32Array
  /** Where each sequence is from; asked for where teachers are routed, or have other tokenizers. */
  corpora?: Int32Array
  starts?: Int32Array
}

/** With the tokens' weights, the teachers', [tokens * K], where they are drawn or routed, and what foreign ones read. */
export interface StepBatch extends Omit<TokenBatch, keyof Masks>, Counted {
  drawn?: Float32Array
  foreign: readonly ReadBatch[]
}

/** What a teacher of another tokenizer reads of a batch. */
export function aligned(teacher: ForeignTeacher, { corpora, starts, mask }: TokenBatch): AlignedBatch {
  if (mask) throw new Error('teachers of another tokenizer read no masked tokens')
  return teacher.read({ split: 'train', corpora: corpora!, starts: starts! })
}
