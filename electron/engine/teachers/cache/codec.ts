import { badInput } from '#contract'
import { firstAbove } from '../../firstAbove'
import { createRandom } from '../../random'
import { inFull, type Kept } from '../../../files'
import { fromHalf, toHalf } from './half'

/** How a block's distributions are kept: what stands in the experiment's `cache`, and what it is kept of. */
export type Coding = Kept

/** A logarithm whose exponential is 0 in float32, for what was not drawn. */
const NEVER = -1e4

/**
 * Packs log-probabilities [tokens, vocab], row-major, or of `states` these, [tokens, width]. `exact` keeps them as they
 * are. `top-k`: per token the k most probable, ids then logarithms, and the mass of the rest. `sample`: ids of independent draws.
 *
 * @param seed of the draws: the same block is drawn alike by whoever computes it
 */
export function encode(coding: Coding, logP: Float32Array, seed: string): Buffer {
  if (coding.states?.half) return toHalf(within(logP))
  if (inFull(coding)) return Buffer.from(logP.buffer, logP.byteOffset, logP.byteLength)
  return coding.mode === 'top-k' ? encodeTop(coding, logP) : encodeSamples(coding, logP, seed)
}

/** The largest number of half precision. */
const LARGEST = 65504

/** @throws bad-input where half precision would make an infinity of a state */
function within(states: Float32Array): Float32Array {
  const beyond = states.find((state) => !(Math.abs(state) <= LARGEST))
  if (beyond === undefined) return states
  throw badInput(`a teacher has a state of ${beyond}, beyond half precision`, {
    field: 'cache.precision',
    expected: 'f32',
  })
}

/**
 * The dense [tokens, vocab], or of `states` these, again: the exact log-probabilities, or those of the kept approximation
 * times `scale`.
 *
 * @param out [tokens, vocab]; what is not exact is written there
 */
export function decode(
  coding: Coding,
  payload: Buffer,
  tokens: number,
  out: Float32Array = new Float32Array(keepsAll(coding) ? 0 : tokens * coding.vocab),
  scale = 1,
): Float32Array {
  if (coding.states?.half) return fromHalf(payload)
  if (inFull(coding)) return floatsOf(payload)
  if (coding.mode === 'top-k') decodeTop(coding, payload, tokens, out, scale)
  else decodeSamples(coding, payload, tokens, out, scale)
  return out
}

/** One block in use, one read ahead, one more for a block that is read again. */
const TURNS = 3

/** Memory of the latest decoded blocks, used in turn: a fresh table a step keeps the garbage collector busy. */
export class DecodedMemory {
  private readonly tables: Float32Array[] = []
  private turn = 0

  /** Valid until the third one after it; nothing where no decoding writes. */
  next(coding: Coding, tokens: number): Float32Array | undefined {
    if (keepsAll(coding)) return undefined
    const { vocab } = coding
    this.turn = (this.turn + 1) % TURNS
    return (this.tables[this.turn] ??= new Float32Array(tokens * vocab))
  }
}

/** A view where the bytes are aligned, else a copy. */
export function floatsOf(bytes: Buffer): Float32Array {
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return new Float32Array(Uint8Array.from(bytes).buffer)
}

/** Whether decoding writes no table of its own. */
const keepsAll = ({ mode }: Coding) => mode === 'exact' || mode === 'states'

const idBytes = ({ vocab }: Coding) => (vocab > 65536 ? 4 : 2)

function encodeTop(coding: Coding, logP: Float32Array): Buffer {
  const { vocab } = coding
  const k = Math.min(coding.k, vocab)
  const size = idBytes(coding)
  const tokens = logP.length / vocab
  const stride = k * (size + 4) + 4
  const out = Buffer.alloc(tokens * stride)
  for (let t = 0; t < tokens; t++) {
    const row = logP.subarray(t * vocab, (t + 1) * vocab)
    let kept = 0
    for (const [i, id] of largest(row, k).entries()) {
      out.writeUIntLE(id, t * stride + i * size, size)
      out.writeFloatLE(row[id]!, t * stride + k * size + i * 4)
      kept += Math.exp(row[id]!)
    }
    out.writeFloatLE(k === vocab ? 0 : Math.max(0, 1 - kept), t * stride + k * (size + 4))
  }
  return out
}

function decodeTop(coding: Coding, payload: Buffer, tokens: number, out: Float32Array, scale: number): void {
  const { vocab } = coding
  const k = Math.min(coding.k, vocab)
  const size = idBytes(coding)
  const stride = k * (size + 4) + 4
  for (let t = 0; t < tokens; t++) {
    const tail = payload.readFloatLE(t * stride + k * (size + 4))
    out.fill(scale * (tail > 0 ? Math.log(tail / (vocab - k)) : NEVER), t * vocab, (t + 1) * vocab)
    for (let i = 0; i < k; i++) {
      const id = payload.readUIntLE(t * stride + i * size, size)
      out[t * vocab + id] = scale * payload.readFloatLE(t * stride + k * size + i * 4)
    }
  }
}

/** Indices of the k largest, in falling order; of equal ones the first. */
function largest(row: Float32Array, k: number): number[] {
  const heap: number[] = []
  for (let v = 0; v < row.length; v++) {
    if (heap.length === k && row[v]! <= row[heap[k - 1]!]!) continue
    let at = heap.length < k ? heap.push(v) - 1 : k - 1
    for (; at > 0 && row[heap[at - 1]!]! < row[v]!; at--) heap[at] = heap[at - 1]!
    heap[at] = v
  }
  return heap
}

/** Draws with the teacher's own probabilities: the share of a token among the draws is p(token) in expectation. */
function encodeSamples(coding: Coding, logP: Float32Array, seed: string): Buffer {
  const { vocab, samples } = coding
  const size = idBytes(coding)
  const tokens = logP.length / vocab
  const random = createRandom(0, seed)
  const out = Buffer.alloc(tokens * samples * size)
  const cumulative = new Float64Array(vocab)
  for (let t = 0; t < tokens; t++) {
    let sum = 0
    for (let v = 0; v < vocab; v++) cumulative[v] = sum += Math.exp(logP[t * vocab + v]!)
    for (let s = 0; s < samples; s++) {
      const id = firstAbove(cumulative, random.next() * sum)
      out.writeUIntLE(id, (t * samples + s) * size, size)
    }
  }
  return out
}

function decodeSamples(
  coding: Coding,
  payload: Buffer,
  tokens: number,
  out: Float32Array,
  scale: number,
): void {
  const { vocab, samples } = coding
  const size = idBytes(coding)
  const logShare = Float32Array.from(
    { length: samples + 1 },
    (_, n) => scale * (n ? Math.log(n / samples) : NEVER),
  )
  const counts = new Uint32Array(vocab)
  out.fill(logShare[0]!)
  for (let t = 0; t < tokens; t++) {
    const ids = Array.from({ length: samples }, (_, i) => payload.readUIntLE((t * samples + i) * size, size))
    for (const id of ids) out[t * vocab + id] = logShare[++counts[id]!]!
    for (const id of ids) counts[id] = 0
  }
}
