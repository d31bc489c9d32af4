import {
  badInput,
  type ModelConfig,
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  layerWeight,
  type LayerWeight,
} from '#contract'
import { type Weights } from './weights'

/**
 * The checkpoint format of llama2.c, version 0: seven int32 of header, then float32 tensors in a fixed order, each
 * kind stacked over the layers. Its RoPE turns neighbouring pairs (2i, 2i + 1); ours, like Hugging Face's, turns
 * (i, i + size / 2), so the rows of the query and key matrices are reordered on the way in and out.
 */
const HEADER = 7 * 4
const ROPE_BASE = 10000
const EPSILON = 1e-5

interface Part {
  name: string
  shape: number[]
}

/** @throws bad-input when the header makes no sense or the size is not to the byte what it says */
export function decodeLlama2c(bytes: Buffer, file: string): { config: ModelConfig; weights: Weights } {
  if (bytes.length < HEADER)
    throw badInput(`the file has ${bytes.length} bytes`, { file, expected: 'a llama2.c checkpoint' })
  const [width, hidden, layers, heads, kvHeads, signedVocab, context] = Array.from({ length: 7 }, (_, i) =>
    bytes.readInt32LE(i * 4),
  ) as [number, number, number, number, number, number, number]
  const sizes = {
    dim: width,
    hidden_dim: hidden,
    n_layers: layers,
    n_heads: heads,
    n_kv_heads: kvHeads,
    max_seq_len: context,
  }
  for (const [field, value] of Object.entries(sizes)) {
    if (value <= 0 || value > 1 << 24)
      throw badInput(`the header says ${value}`, { file, field, expected: 'a llama2.c checkpoint' })
  }
  if (width % heads || heads % kvHeads || (width / heads) % 2) {
    throw badInput(`${heads} heads (${kvHeads} for keys) do not fit the width ${width}`, {
      file,
      field: 'n_heads',
    })
  }
  // The two norms of each layer alone: what is announced is held against the file before anything is laid out.
  const least = HEADER + 4 * layers * 2 * width
  if (least > bytes.length) {
    throw badInput(`the file has ${bytes.length} bytes`, {
      file,
      field: 'n_layers',
      expected: `at least ${least} bytes from its header`,
    })
  }
  const config: ModelConfig = {
    family: 'llama',
    vocab: Math.abs(signedVocab),
    width,
    layers,
    heads,
    kvHeads,
    hidden,
    context,
    tied: signedVocab > 0,
    ropeBase: ROPE_BASE,
    normEpsilon: EPSILON,
  }
  const parts = layout(config)
  const expected = HEADER + 4 * parts.reduce((sum, part) => sum + elements(part), 0)
  if (bytes.length !== expected) {
    throw badInput(`the file has ${bytes.length} bytes`, {
      file,
      expected: `${expected} bytes from its header`,
    })
  }
  const weights: Weights = new Map()
  let at = HEADER
  for (const part of parts) {
    const size = elements(part)
    if (part.name) {
      const data = new Float32Array(size)
      Buffer.from(data.buffer).set(bytes.subarray(at, at + size * 4))
      weights.set(part.name, { shape: part.shape, data })
    }
    at += size * 4
  }
  reorder(config, weights, 'from-pairs')
  return { config, weights }
}

/** @throws bad-input when the model computes what its header has no place for */
export function encodeLlama2c(config: ModelConfig, source: Weights): Uint8Array {
  checkPlain(config)
  const weights: Weights = new Map([...source].map(([name, w]) => [name, { ...w }]))
  reorder(config, weights, 'to-pairs')
  const parts = layout(config)
  const bytes = Buffer.alloc(HEADER + 4 * parts.reduce((sum, part) => sum + elements(part), 0))
  const { width, hidden, layers, heads, kvHeads, context, tied } = config
  const vocab = rowsOf(config)
  const header = [width, hidden, layers, heads, kvHeads, tied ? vocab : -vocab, context]
  for (const [i, value] of header.entries()) bytes.writeInt32LE(value, i * 4)
  let at = HEADER
  for (const part of parts) {
    // The legacy RoPE tables have no name; readers skip them.
    if (part.name) {
      const { data } = weights.get(part.name)!
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at)
    }
    at += elements(part) * 4
  }
  return bytes
}

const rowsOf = ({ rows, vocab }: ModelConfig) => rows ?? vocab

/** Its readers know one base of rotary positions, one epsilon, and the decoder of a Llama. */
function checkPlain({ family, architecture, headSize, ropeBase, normEpsilon }: ModelConfig): void {
  const refused = (what: string) =>
    badInput(`llama2.c cannot compute ${what}`, { field: 'format', expected: 'hf or onnx' })
  if (architecture || headSize) throw refused(`what this model of the family "${family}" does`)
  if (ropeBase !== ROPE_BASE) throw refused(`rotary positions of base ${ropeBase}`)
  if (normEpsilon !== EPSILON) throw refused(`norms with an epsilon of ${normEpsilon}`)
}

function layout(config: ModelConfig): Part[] {
  const vocab = rowsOf(config)
  const { width, layers, heads, kvHeads, hidden, context, tied } = config
  const kvWidth = (width / heads) * kvHeads
  const stacked = (which: LayerWeight, shape: number[]): Part[] =>
    Array.from({ length: layers }, (_, l) => ({ name: layerWeight(l, which), shape }))
  const rope = { name: '', shape: [context, width / heads / 2] }
  return [
    { name: EMBEDDING, shape: [vocab, width] },
    ...stacked('attentionNorm', [width]),
    ...stacked('query', [width, width]),
    ...stacked('key', [kvWidth, width]),
    ...stacked('value', [kvWidth, width]),
    ...stacked('output', [width, width]),
    ...stacked('feedForwardNorm', [width]),
    ...stacked('gate', [hidden, width]),
    ...stacked('down', [width, hidden]),
    ...stacked('up', [hidden, width]),
    { name: FINAL_NORM, shape: [width] },
    rope,
    rope,
    ...(tied ? [] : [{ name: HEAD, shape: [vocab, width] }]),
  ]
}

const elements = (part: Part) => part.shape.reduce((a, b) => a * b, 1)

function reorder(config: ModelConfig, weights: Weights, direction: 'from-pairs' | 'to-pairs'): void {
  const size = config.width / config.heads
  for (let l = 0; l < config.layers; l++) {
    for (const which of ['query', 'key'] as const) {
      const tensor = weights.get(layerWeight(l, which))!
      tensor.data = reorderRows(tensor.data, config.width, size, direction)
    }
  }
}

/** Row 2i + j of a head (pairs) is row i + j * size / 2 (halves). */
export function reorderRows(
  data: Float32Array,
  columns: number,
  size: number,
  direction: 'from-pairs' | 'to-pairs',
): Float32Array {
  const result = new Float32Array(data.length)
  for (let row = 0; row < data.length / columns; row++) {
    const [head, r] = [Math.floor(row / size), row % size]
    const halved = head * size + Math.floor(r / 2) + (r % 2) * (size / 2)
    const [from, to] = direction === 'from-pairs' ? [row, halved] : [halved, row]
    result.set(data.subarray(from * columns, (from + 1) * columns), to * columns)
  }
  return result
}
