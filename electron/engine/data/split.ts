import { createHash } from 'node:crypto'
import type { Corpus, Document } from '#contract'

export type Split = 'train' | 'held-out' | 'calibration'

/** The share of documents that are held out, and of those for calibration. */
const SHARE = 0.05
/** Documents from which on one is for calibration. */
const CALIBRATED = 11
/** Fractions of hashes are of so many bits. */
const STEP = 2 ** -48

/** Every twentieth document is held out, every twentieth is for calibration. */
export function splitByPlace(index: number): Split {
  if (index % 20 === 0) return 'held-out'
  return index % 20 === 10 ? 'calibration' : 'train'
}

/** SHA-256 of a document's text, of a conversation of its turns. */
export function documentHash(document: Document): Buffer {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  return createHash('sha256').update(text).digest()
}

/** A hash's beginning as a number from 0 to below 1. */
export const fractionOf = (hash: Buffer) => hash.readUIntBE(0, 6) * STEP

export function splitByFraction(
  fraction: number,
  { heldOutBelow, calibrationFrom }: NonNullable<Corpus['split']>,
): Split {
  if (fraction < heldOutBelow) return 'held-out'
  return fraction >= calibrationFrom ? 'calibration' : 'train'
}

/** The side of a document of a corpus. */
export function splitOf({ split }: Pick<Corpus, 'split'>, document: Document, index: number): Split {
  return split ? splitByFraction(fractionOf(documentHash(document)), split) : splitByPlace(index)
}

/**
 * Where hashes are split: at a twentieth and before the last twentieth. In a corpus so small that nobody falls there, the
 * least hash is held out and, of eleven documents on, the greatest for calibration, as long as some are left to train on.
 *
 * @param fractions of all documents
 */
export function splitOfHashes(fractions: Float64Array): NonNullable<Corpus['split']> {
  let [least, greatest] = [1, 0]
  for (const fraction of fractions) {
    least = Math.min(least, fraction)
    greatest = Math.max(greatest, fraction)
  }
  const usual = least < SHARE && greatest >= SHARE
  const heldOutBelow = usual ? SHARE : least + STEP
  const trains = (from: number) => fractions.some((fraction) => fraction >= heldOutBelow && fraction < from)
  const wanted = [
    ...(greatest >= 1 - SHARE ? [1 - SHARE] : []),
    ...(fractions.length >= CALIBRATED ? [greatest] : []),
  ]
  return { heldOutBelow, calibrationFrom: wanted.find(trains) ?? 1 }
}

/** How many documents are held out. */
export function heldOutAmong(fractions: Float64Array, split: Corpus['split']): number {
  if (!split) return Math.ceil(fractions.length / 20)
  let count = 0
  for (const fraction of fractions) if (fraction < split.heldOutBelow) count++
  return count
}
