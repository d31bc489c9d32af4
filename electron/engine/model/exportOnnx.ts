import { badInput, parameterCount, type ModelConfig } from '#contract'
import {
  encodeOnnx,
  TYPE,
  type OnnxAttributes,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type ValueInfo,
} from '../backend/onnx'
import { hiddenOutput } from './onnx/signature'
import { EMBEDDING, FINAL_NORM, HEAD, layerWeight, type LayerWeight, type Weights } from './weights'

/** Protobuf holds messages of less than 2 GB; the graph beside the weights is small. */
const LARGEST = 2 ** 31 - 2 ** 20
/** Added to the attention scores of the future; its exponential is 0 in float32. */
const FORBIDDEN = -1e9

/**
 * A model as a serialised ONNX file of standard operators (set 18): `input_ids` int64 [batch, sequence] to `logits`
 * float32 [batch, sequence, vocab], both axes free. The same mathematics as `forward` of ./llama.
 *
 * @param hiddenStates adds `hidden_states.0` (the embedding's) to `hidden_states.N` (layer N's, before the final norm),
 *   [batch, sequence, width]
 * @throws bad-input when the weights take more than an ONNX file can hold
 */
export function encodeOnnxModel(config: ModelConfig, weights: Weights, hiddenStates = false): Uint8Array {
  const bytes = parameterCount(config) * Float32Array.BYTES_PER_ELEMENT
  if (bytes > LARGEST) {
    throw badInput(`the weights take ${(bytes / 1e9).toFixed(1)} GB, an ONNX file holds at most 2 GB`, {
      field: 'format',
      expected: 'hf',
    })
  }
  return encodeOnnx(new LlamaGraph(config, weights).model(hiddenStates))
}

/** The graph of a model of the Llama family, node by node. */
class LlamaGraph {
  private readonly nodes: OnnxNode[] = []
  private readonly initialisers: OnnxTensor[] = []
  private readonly constants = new Map<string, string>()

  constructor(
    private readonly config: ModelConfig,
    weights: Weights,
  ) {
    for (const [name, { shape, data }] of weights) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      this.initialisers.push({ name, type: 'float32', shape, bytes })
    }
  }

  model(hiddenStates: boolean): OnnxModel {
    const { layers, tied, vocab, width, context } = this.config
    const shape = this.node('Shape', ['input_ids'])
    const time = this.node('Slice', [shape, this.integers([1]), this.integers([2])])
    const flat = this.node('Reshape', ['input_ids', this.integers([-1])])
    const tables = this.tables(time)
    const states = [this.node('Gather', [EMBEDDING, flat])]
    for (let layer = 0; layer < layers; layer++)
      states.push(this.block(states[layer]!, layer, shape, time, tables))
    const x = states[layers]!
    const normal = this.norm(x, FINAL_NORM)
    const logits = this.linear(normal, tied ? EMBEDDING : HEAD)
    const outputs: ValueInfo[] = []
    /** [tokens, size] as an output [batch, sequence, size]. */
    const give = (name: string, value: string, size: number) => {
      const full = this.node('Concat', [shape, this.integers([size])], { axis: 0 })
      this.nodes.push({ name: 'Reshape', inputs: [value, full], outputs: [name] })
      outputs.push({ name, type: 'float32', shape: ['batch', 'sequence', size] })
    }
    give('logits', logits, vocab)
    if (hiddenStates)
      for (const [n, state] of states.entries()) give(hiddenOutput({ layers }, n), state, width)
    return {
      nodes: this.nodes,
      initialisers: this.initialisers,
      inputs: [{ name: 'input_ids', type: 'int64', shape: ['batch', 'sequence'] }],
      outputs,
      metadata: { context: String(context) },
    }
  }

  /** RoPE's cosines and sines, [time, size], and the causal mask, [time, time]: from the positions. */
  private tables(time: string): Tables {
    const { width, heads, ropeBase } = this.config
    const half = width / heads / 2
    const axis = (i: number) => this.integers([i])
    const end = this.node('Squeeze', [time, axis(0)])
    const positions = this.node('Range', [this.integer(0), end, this.integer(1)])
    const rows = this.node('Unsqueeze', [positions, axis(1)])
    const columns = this.node('Unsqueeze', [positions, axis(0)])

    const frequencies = Array.from({ length: half }, (_, i) => ropeBase ** (-i / half))
    const exact = this.node('Cast', [rows], { to: TYPE.float64 })
    const angles = this.node('Mul', [exact, this.doubles(frequencies)])
    // In float32 the angle of a late position is wrong by more than its cosine may be: the turns are taken off before.
    const turn = this.node('Mod', [angles, this.doubles([2 * Math.PI])], { fmod: 1 })
    const within = this.node('Cast', [turn], { to: TYPE.float32 })
    const both = (name: string) => {
      const one = this.node(name, [within])
      return this.node('Concat', [one, one], { axis: 1 })
    }
    const future = this.node('Less', [rows, columns])
    const mask = this.node('Where', [future, this.float(FORBIDDEN), this.float(0)])
    return { cosine: both('Cos'), sine: both('Sin'), mask }
  }

  private block(x: string, layer: number, shape: string, time: string, tables: Tables): string {
    const { heads, kvHeads, width } = this.config
    const size = width / heads
    const weight = (which: LayerWeight) => layerWeight(layer, which)
    /** [tokens, n * size] to [batch, n, time, size]. */
    const split = (input: string, n: number) => {
      const apart = this.node('Concat', [shape, this.integers([n, size])], { axis: 0 })
      return this.node('Transpose', [this.node('Reshape', [input, apart])], { perm: [0, 2, 1, 3] })
    }
    const normal = this.norm(x, weight('attentionNorm'))
    const turned = this.rotate(split(this.linear(normal, weight('query')), heads), tables)
    const query = this.node('Mul', [turned, this.float(1 / Math.sqrt(size))])
    const key = this.rotate(split(this.linear(normal, weight('key')), kvHeads), tables)
    const value = split(this.linear(normal, weight('value')), kvHeads)

    // The query heads of a key and value head are stacked as more queries of one: nothing is repeated.
    const stacked = this.node('Reshape', [query, this.integers([0, kvHeads, -1, size])])
    const across = this.node('Transpose', [key], { perm: [0, 1, 3, 2] })
    const byHead = (n: number) => this.node('Concat', [this.integers([0, n, -1]), time], { axis: 0 })
    const scores = this.node('Reshape', [this.node('MatMul', [stacked, across]), byHead(heads)])
    const p = this.node('Softmax', [this.node('Add', [scores, tables.mask])], { axis: -1 })
    const mixed = this.node('MatMul', [this.node('Reshape', [p, byHead(kvHeads)]), value])
    const apart = this.node('Reshape', [mixed, this.integers([0, heads, -1, size])])
    const joined = this.node('Transpose', [apart], { perm: [0, 2, 1, 3] })
    const flat = this.node('Reshape', [joined, this.integers([-1, width])])
    const attended = this.node('Add', [x, this.linear(flat, weight('output'))])

    const second = this.norm(attended, weight('feedForwardNorm'))
    const gate = this.linear(second, weight('gate'))
    const silu = this.node('Mul', [gate, this.node('Sigmoid', [gate])])
    const inner = this.node('Mul', [silu, this.linear(second, weight('up'))])
    return this.node('Add', [attended, this.linear(inner, weight('down'))])
  }

  /** x W^T, the weight [out, in] as it is stored. */
  private linear(x: string, weight: string): string {
    return this.node('Gemm', [x, weight], { transB: 1 })
  }

  private norm(x: string, gain: string): string {
    const square = this.node('Mul', [x, x])
    const mean = this.node('ReduceMean', [square, this.integers([-1])], { keepdims: 1 })
    const root = this.node('Sqrt', [this.node('Add', [mean, this.float(this.config.normEpsilon)])])
    return this.node('Mul', [this.node('Div', [x, root]), gain])
  }

  /** The halves of each head rotated against each other. */
  private rotate(x: string, { cosine, sine }: Tables): string {
    const half = this.config.width / this.config.heads / 2
    const part = (from: number, to: number) =>
      this.node('Slice', [x, this.integers([from]), this.integers([to]), this.integers([3])])
    const turned = this.node('Concat', [this.node('Neg', [part(half, 2 * half)]), part(0, half)], { axis: 3 })
    return this.node('Add', [this.node('Mul', [x, cosine]), this.node('Mul', [turned, sine])])
  }

  private node(name: string, inputs: readonly string[], attributes: OnnxAttributes = {}): string {
    const output = `${name.toLowerCase()}_${this.nodes.length}`
    this.nodes.push({ name, inputs, outputs: [output], attributes })
    return output
  }

  private integers(values: readonly number[]): string {
    const bytes = Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer)
    return this.constant(`integers_${values.join('_')}`, { type: 'int64', shape: [values.length], bytes })
  }

  private integer(value: number): string {
    const bytes = Buffer.from(BigInt64Array.of(BigInt(value)).buffer)
    return this.constant(`integer_${value}`, { type: 'int64', shape: [], bytes })
  }

  private float(value: number): string {
    const bytes = Buffer.from(Float32Array.of(value).buffer)
    return this.constant(`float_${value}`, { type: 'float32', shape: [], bytes })
  }

  private doubles(values: readonly number[]): string {
    const bytes = Buffer.from(Float64Array.from(values).buffer)
    return this.constant(`doubles_${values.join('_')}`, { type: 'float64', shape: [values.length], bytes })
  }

  /** One node for each constant: the initialisers are the weights and nothing else. */
  private constant(key: string, tensor: Omit<OnnxTensor, 'name'>): string {
    const known = this.constants.get(key)
    if (known) return known
    const name = `constant_${this.constants.size}`
    this.nodes.push({
      name: 'Constant',
      inputs: [],
      outputs: [name],
      attributes: { value: { tensor: { name, ...tensor } } },
    })
    this.constants.set(key, name)
    return name
  }
}

interface Tables {
  cosine: string
  sine: string
  mask: string
}
