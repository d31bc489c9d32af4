import { badInput } from '#contract'
import { NO_BYTES } from './bytes'
import type { TextTokenizer } from './textTokenizer'

const BOS = 1
const SPECIAL = ['<unk>', '<s>', '</s>']
/** Tokens 3..258 are the bytes. */
const FIRST_BYTE = 3

interface Piece {
  score: number
  bytes: Buffer
}

/**
 * llama2.c's tokenizer file: int32 longest piece, then per piece float32 score, int32 length, bytes.
 *
 * @throws bad-input when the file ends early or says what cannot be
 */
export function readLlama2cPieces(bytes: Buffer, file: string): Piece[] {
  const pieces: Piece[] = []
  const expected = 'a tokenizer file of llama2.c'
  if (bytes.length < 4) throw badInput(`the file has ${bytes.length} bytes`, { file, expected })
  const longest = bytes.readInt32LE(0)
  for (let at = 4; at < bytes.length;) {
    if (at + 8 > bytes.length)
      throw badInput(`the file ends within piece ${pieces.length}`, { file, expected })
    const score = bytes.readFloatLE(at)
    const length = bytes.readInt32LE(at + 4)
    if (length < 0 || length > longest || at + 8 + length > bytes.length) {
      throw badInput(`piece ${pieces.length} is said to have ${length} bytes`, { file, expected })
    }
    pieces.push({ score, bytes: bytes.subarray(at + 8, at + 8 + length) })
    at += 8 + length
  }
  if (pieces.length < FIRST_BYTE + 256) {
    throw badInput(`the file has ${pieces.length} pieces`, {
      file,
      expected: `at least the 256 bytes; ${expected}`,
    })
  }
  return pieces
}

/**
 * Encodes as llama2.c does: a space before the text, characters or their bytes, then the best-scoring adjacent merge
 * again and again. Decoding takes one leading space away, so that a round trip gives back the text exactly.
 */
export function createLlama2cTokenizer(pieces: readonly Piece[]): TextTokenizer {
  // Keys are Latin-1 strings of the bytes: a piece need not be valid UTF-8.
  const ids = new Map<string, number>()
  for (const [id, { bytes }] of pieces.entries()) {
    const isByte = id >= FIRST_BYTE && id < FIRST_BYTE + 256
    const key = bytes.toString('latin1')
    if (id >= FIRST_BYTE && !isByte && !ids.has(key)) ids.set(key, id)
  }
  const outputs = pieces.map(({ bytes }, id) => {
    if (id < FIRST_BYTE) return Buffer.alloc(0)
    return id < FIRST_BYTE + 256 ? Buffer.from([id - FIRST_BYTE]) : bytes
  })
  const keys = outputs.map((bytes) => bytes.toString('latin1'))

  return {
    vocab: pieces.length,
    bos: BOS,
    ends: [BOS],
    encode(text) {
      return merge(symbolsOf(` ${text}`, ids), pieces, keys, ids)
    },
    decode(tokens) {
      const text = Buffer.concat(Array.from(tokens, (id) => outputs[id] ?? Buffer.alloc(0))).toString('utf8')
      return text.startsWith(' ') ? text.slice(1) : text
    },
    piece: (id) => outputs[id] ?? NO_BYTES,
    special: (id) => SPECIAL[id],
  }
}

function symbolsOf(text: string, ids: ReadonlyMap<string, number>): number[] {
  const symbols: number[] = []
  for (const character of text) {
    const bytes = Buffer.from(character)
    const id = ids.get(bytes.toString('latin1'))
    if (id !== undefined) symbols.push(id)
    else for (const byte of bytes) symbols.push(FIRST_BYTE + byte)
  }
  return symbols
}

interface Candidate {
  score: number
  at: number
  left: number
  right: number
  id: number
}

/** Best score first, leftmost among equals, with a heap over a linked list: a long text costs n log n. */
function merge(
  symbols: number[],
  pieces: readonly Piece[],
  keys: readonly string[],
  ids: ReadonlyMap<string, number>,
): Int32Array {
  const next = symbols.map((_, i) => (i + 1 < symbols.length ? i + 1 : -1))
  const previous = symbols.map((_, i) => i - 1)
  const alive = new Uint8Array(symbols.length).fill(1)
  const heap = new Heap<Candidate>((a, b) => b.score - a.score || a.at - b.at)
  const consider = (at: number) => {
    const to = at < 0 ? -1 : next[at]!
    if (to < 0) return
    const id = ids.get(keys[symbols[at]!]! + keys[symbols[to]!]!)
    if (id !== undefined)
      heap.push({ score: pieces[id]!.score, at, left: symbols[at]!, right: symbols[to]!, id })
  }
  for (let i = 0; i < symbols.length; i++) consider(i)
  for (let best = heap.pop(); best; best = heap.pop()) {
    const { at, left, right, id } = best
    const to = next[at]!
    if (!alive[at] || to < 0 || symbols[at] !== left || symbols[to] !== right) continue
    symbols[at] = id
    alive[to] = 0
    next[at] = next[to]!
    if (next[at]! >= 0) previous[next[at]!] = at
    consider(previous[at]!)
    consider(at)
  }
  return Int32Array.from(symbols.filter((_, i) => alive[i]))
}

/** A binary heap; `order` negative when its first argument comes first. */
export class Heap<T> {
  private readonly items: T[] = []

  constructor(private readonly order: (a: T, b: T) => number) {}

  push(item: T): void {
    const { items } = this
    let at = items.push(item) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (this.order(items[up]!, item) <= 0) break
      items[at] = items[up]!
      at = up
    }
    items[at] = item
  }

  pop(): T | undefined {
    const { items } = this
    const first = items[0]
    const last = items.pop()
    if (!items.length || last === undefined) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.order(items[child + 1]!, items[child]!) < 0) child++
      if (this.order(last, items[child]!) <= 0) break
      items[at] = items[child]!
      at = child
    }
    items[at] = last
    return first
  }
}
