import { type Document } from '#contract'
import { cutAtBlanks } from '../formats/lines'

/** Bytes of text after which a segment ends with its document: what is tokenized together for a place in it. */
export const SEGMENT = 8 << 10
/** Characters from which on a document counts as several, and of each of those. */
const LONG = 64 << 10
const PART = 32 << 10

/** The parts that a long text counts as; undefined of another. Conversations are whole whatever their length. */
export function partsOfLong(document: Document): string[] | undefined {
  if (typeof document !== 'string' || document.length <= LONG) return undefined
  return cutAtBlanks(document, PART)
}
