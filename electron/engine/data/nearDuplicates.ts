/** Bins of a signature; bands that are looked up, of four bins each. */
const BINS = 64
const BANDS = 16
const ROWS = BINS / BANDS
/** Words of a shingle, and shingles that a document has at least to be compared. */
const SHINGLE = 5
const FEWEST = 8
/** The share of bins that agree in documents which are nearly the same. */
const ALIKE = 0.8
/** Documents that others are compared with: some 200 MB of signatures and bands. */
const MOST = 500_000

const EMPTY = 0xffffffff

/**
 * Finds documents of which nearly all runs of five words stand in an earlier one: an estimated Jaccard similarity of 0.8
 * and more. One-permutation MinHash (Li, Owen, Zhang 2012), empty bins filled from the next (Shrivastava, Li 2014); of
 * four equal bins in one of sixteen bands the signatures are compared.
 */
export class NearDuplicates {
  /** Documents that later ones are compared with: those like none before. */
  compared = 0
  private signatures = new Uint16Array(BINS << 10)
  private readonly bands = new BandTable()

  /** Whether a document is nearly the same as one before. */
  has(text: string): boolean {
    const signature = signatureOf(text)
    if (!signature) return false
    const keys = Array.from({ length: BANDS }, (_, band) => keyOf(signature, band))
    for (const key of keys) {
      const other = this.bands.get(key)
      if (other >= 0 && this.agreement(signature, other) >= ALIKE) return true
    }
    if (this.compared < MOST) {
      for (const key of keys) this.bands.add(key, this.compared)
      this.keep(signature)
    }
    return false
  }

  private agreement(signature: Uint32Array, other: number): number {
    let same = 0
    for (let i = 0; i < BINS; i++) if ((signature[i]! & 0xffff) === this.signatures[other * BINS + i]) same++
    return same / BINS
  }

  private keep(signature: Uint32Array): void {
    const at = this.compared++ * BINS
    if (at + BINS > this.signatures.length) {
      const larger = new Uint16Array(2 * this.signatures.length)
      larger.set(this.signatures)
      this.signatures = larger
    }
    for (let i = 0; i < BINS; i++) this.signatures[at + i] = signature[i]! & 0xffff
  }
}

const WORD = /[\p{L}\p{N}]+/gu

/** The least hash of the shingles in each bin; undefined of a text that has too few. */
function signatureOf(text: string): Uint32Array | undefined {
  const bins = new Uint32Array(BINS).fill(EMPTY)
  const last = new Uint32Array(SHINGLE)
  let count = 0
  for (const [word] of text.matchAll(WORD)) {
    last[count++ % SHINGLE] = hashOf(word)
    if (count < SHINGLE) continue
    let hash = 0
    for (let i = 0; i < SHINGLE; i++) hash = Math.imul(hash ^ last[(count + i) % SHINGLE]!, 0x9e3779b1)
    const mixed = mix(hash)
    const bin = mixed >>> 26
    const value = mixed & 0x3ffffff
    if (value < bins[bin]!) bins[bin] = value
  }
  if (count < SHINGLE + FEWEST - 1) return undefined
  const filled = bins.slice()
  for (let bin = 0; bin < BINS; bin++) {
    let step = 0
    while (bins[(bin + step) % BINS] === EMPTY) step++
    filled[bin] = mix(bins[(bin + step) % BINS]! + Math.imul(step, 0x85ebca6b))
  }
  return filled
}

/** FNV-1a over a word's characters, whatever their case. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5
  for (const character of word.toLowerCase()) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193)
  return hash
}

/** The finaliser of MurmurHash3: every bit of the result depends on every one of the input. */
function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function keyOf(signature: Uint32Array, band: number): number {
  let key = mix(band + 1)
  for (let row = 0; row < ROWS; row++) key = mix(key ^ signature[band * ROWS + row]!)
  return key
}

/** Numbers to the document that had each first; a Map of as many entries takes five times the memory. */
class BandTable {
  private keys = new Uint32Array(1 << 15)
  private documents = new Int32Array(1 << 15).fill(-1)
  private size = 0

  /** @returns -1 where there is none */
  get(key: number): number {
    return this.documents[this.slot(key)]!
  }

  add(key: number, document: number): void {
    const slot = this.slot(key)
    if (this.documents[slot]! >= 0) return
    this.keys[slot] = key
    this.documents[slot] = document
    if (++this.size * 2 > this.keys.length) this.grow()
  }

  private slot(key: number): number {
    const mask = this.keys.length - 1
    let slot = key & mask
    while (this.documents[slot]! >= 0 && this.keys[slot] !== key) slot = (slot + 1) & mask
    return slot
  }

  private grow(): void {
    const { keys, documents } = this
    this.keys = new Uint32Array(2 * keys.length)
    this.documents = new Int32Array(2 * keys.length).fill(-1)
    for (let i = 0; i < keys.length; i++) {
      if (documents[i]! < 0) continue
      const slot = this.slot(keys[i]!)
      this.keys[slot] = keys[i]!
      this.documents[slot] = documents[i]!
    }
  }
}
