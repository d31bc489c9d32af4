import { attentionScale, badInput, headSize, parameterCount, type ModelConfig } from '#contract'
import type { Data, Graph, Value } from '../backend/graph'
import { encodeOnnx } from '../backend/onnx'
import type { OnnxModel, OnnxTensor, ValueInfo } from '../backend/onnxModel'
import { record } from '../backend/record'
import { tf } from '../backend/tf'
import { createTables, forward } from './forward'
import { OnnxBuilder } from './onnx/builder'
import { cachedPass, pastName, presentName } from './onnx/cached'
import { hiddenOutput } from './onnx/signature'
import { strangers } from './onnx/strangers'
import { CachedTables, SequenceTables } from './onnx/tables'
import type { Weights } from './weights'

/** Protobuf holds messages of less than 2 GB; the graph beside the weights is small. */
const LARGEST = 2 ** 31 - 2 ** 20

/**
 * A model as a serialised ONNX file of standard operators (set 18): `input_ids` int64 [batch, sequence] to `logits`
 * float32 [batch, sequence, vocab], both axes free. It is what `forward` records of one batch, with the batch's sizes
 * made free and the tables of a forward pass computed from the sequence's length.
 *
 * With a KV cache it takes `attention_mask` int64 [batch, all tokens], `position_ids` int64 [batch, sequence] and
 * `past_key_values.N.key` and `.value` float32 [batch, kvHeads, earlier tokens, size] too, and gives `present.N.key` and
 * `.value`, as Optimum's exports do. Sequences may be padded on the left.
 *
 * @throws bad-input when the weights take more than an ONNX file can hold
 */
export function encodeOnnxModel(
  config: ModelConfig,
  weights: Weights,
  options: OnnxOptions = {},
): Uint8Array {
  const bytes = parameterCount(config) * Float32Array.BYTES_PER_ELEMENT
  if (bytes > LARGEST) {
    throw badInput(`the weights take ${(bytes / 1e9).toFixed(1)} GB, an ONNX file holds at most 2 GB`, {
      field: 'format',
      expected: 'hf',
    })
  }
  // Other tools want what the weights have: ids beyond the tokenizer's too.
  const { rows: all, ...rest } = config
  return encodeOnnx(new Recording({ ...rest, vocab: all ?? config.vocab }, weights, options).model())
}

export interface OnnxOptions {
  /**
   * Adds `hidden_states.0` (the embedding's) to `hidden_states.N` (layer N's, before the final norm), [batch, sequence,
   * width].
   */
  hiddenStates?: boolean
  kvCache?: boolean
}

/** A forward pass of one batch, as the nodes of a model for batches of any size. */
class Recording {
  private readonly graph = new OnnxBuilder()
  private readonly initialisers: OnnxTensor[] = []
  /** What stands for an array that the forward pass was given. */
  private readonly given = new Map<Data, () => string>()
  /** What stands for a value, under the name that the recorded graph has for it. */
  private readonly names = new Map<string, string>()
  private readonly outputs: ValueInfo[] = []
  /** Sizes of the batch that is recorded; with a KV cache all tokens are more than the new ones. */
  private readonly batch: number
  private readonly time: number
  private readonly total: number
  /** The sizes that are free, int64 [1]. */
  private readonly sizes: { batch: string; time: string; total?: string }

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: Weights,
    private readonly options: OnnxOptions,
  ) {
    const [batch, total, time] = strangers(config)
    ;[this.batch, this.time, this.total] = [batch!, time!, total!]
    const size = (input: string, axis: number) => {
      const { graph } = this
      const shape = graph.node('Shape', [input])
      return graph.node('Slice', [shape, graph.integers([axis]), graph.integers([axis + 1])])
    }
    const all = options.kvCache ? size('attention_mask', 1) : undefined
    this.sizes = { batch: size('input_ids', 0), time: size('input_ids', 1), total: all }
  }

  model(): OnnxModel {
    const { config, graph } = this
    const { vocab, width, layers, context } = config
    let outputs: { name: string; shape: (string | number)[] }[] = []
    const recorded = record(() => {
      const said = this.options.kvCache ? this.cached() : this.whole()
      const rows = (size: number) => ['batch', 'sequence', size]
      outputs = [
        { name: 'logits', shape: rows(vocab) },
        ...said.hidden.map((_, n) => ({ name: hiddenOutput({ layers }, n), shape: rows(width) })),
        ...said.present.map(({ name }) => ({ name, shape: this.cacheShape('total_sequence') })),
      ]
      const table = (of: tf.Tensor) => tf.reshape(of, [this.batch, this.time, -1])
      return [table(said.logits), ...said.hidden.map(table), ...said.present.map(({ tensor }) => tensor)]
    })
    this.write(recorded)
    for (const [i, { name, shape }] of outputs.entries()) {
      const value = this.nameOf(recorded.outputs[i]!, recorded)
      graph.nodes.push({ name: 'Identity', inputs: [value], outputs: [name] })
      this.outputs.push({ name, type: 'float32', shape })
    }
    return {
      nodes: graph.nodes,
      initialisers: this.initialisers,
      inputs: this.inputs(),
      outputs: this.outputs,
      metadata: { context: String(context) },
    }
  }

  private inputs(): ValueInfo[] {
    const ids: ValueInfo = { name: 'input_ids', type: 'int64', shape: ['batch', 'sequence'] }
    if (!this.options.kvCache) return [ids]
    const past = Array.from({ length: this.config.layers }, (_, layer) =>
      KEY_AND_VALUE.map((which): ValueInfo => ({
        name: pastName(layer, which),
        type: 'float32',
        shape: this.cacheShape('past_sequence'),
      })),
    )
    return [
      ids,
      { name: 'attention_mask', type: 'int64', shape: ['batch', 'total_sequence'] },
      { name: 'position_ids', type: 'int64', shape: ['batch', 'sequence'] },
      ...past.flat(),
    ]
  }

  private cacheShape(tokens: string): (string | number)[] {
    return ['batch', this.config.kvHeads, tokens, headSize(this.config)]
  }

  /** The forward pass that is recorded; what it is given is noted. */
  private whole(): Recorded {
    const { config, batch, time } = this
    const tables = createTables(config, time)
    this.noteTables(tables)
    const ids = new Int32Array(batch * time)
    this.given.set(ids, () => 'input_ids')
    const { logits, hidden } = forward(config, this.parameters(), tf.tensor2d(ids, [batch, time]), tables)
    tables.dispose()
    return { logits, hidden: this.options.hiddenStates ? hidden : [], present: [] }
  }

  /** The same behind the keys and values of earlier tokens. */
  private cached(): Recorded {
    const { config, batch, time, total, sizes } = this
    const tables = new CachedTables(config, this.graph, sizes.time, sizes.total!)
    const note = (data: Data, name: () => string) => void this.given.set(data, name)
    const said = cachedPass(config, this.parameters(), { batch, time, total }, tables, note)
    const present = said.present.flatMap((one, layer) =>
      KEY_AND_VALUE.map((which) => ({ name: presentName(layer, which), tensor: one[which] })),
    )
    return { logits: said.logits, hidden: this.options.hiddenStates ? said.hidden : [], present }
  }

  private parameters(): Map<string, tf.Tensor> {
    const parameters = new Map<string, tf.Tensor>()
    for (const [name, { shape, data }] of this.weights) {
      parameters.set(name, tf.tensor(data, shape))
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      this.initialisers.push({ name, type: 'float32', shape, bytes })
      this.given.set(data, () => name)
    }
    return parameters
  }

  private noteTables({ masks, rotations }: ReturnType<typeof createTables>): void {
    const tables = new SequenceTables(this.config, this.graph, this.sizes.time)
    const note = (tensor: tf.Tensor, make: () => string) => {
      let name: string | undefined
      this.given.set(dataOf(tensor), () => (name ??= make()))
    }
    for (const [window, mask] of masks) note(mask, () => tables.mask(window))
    for (const [which, { key, query }] of rotations.entries()) {
      for (const [{ cosine, sine }, scale] of [
        [key, 1],
        [query, attentionScale(this.config, 0)],
      ] as const) {
        let made: ReturnType<SequenceTables['rotation']> | undefined
        const rotation = () => (made ??= tables.rotation(which, scale))
        note(cosine, () => rotation().cosine)
        note(sine, () => rotation().sine)
      }
    }
  }

  private write(recorded: Graph): void {
    for (const [at, { name, domain, inputs, attributes, outputs }] of recorded.nodes.entries()) {
      if (domain) throw new Error(`${name} is no operator of the standard`)
      const own = outputs.map((_, i) => `n${at}_${i}`)
      const named = inputs.map((input) => (input ? this.nameOf(input, recorded) : ''))
      for (const [i, value] of outputs.entries()) this.names.set(recorded.names.get(value)!, own[i]!)
      this.graph.nodes.push({ name, inputs: named, outputs: own, attributes })
    }
  }

  private nameOf(value: Value, { names }: Graph): string {
    const recorded = names.get(value)!
    const known = this.names.get(recorded)
    if (known) return known
    const name = value.constant ? this.structural(value) : this.leaf(value)
    this.names.set(recorded, name)
    return name
  }

  /** Numbers that belong to the structure; those that come from the batch's sizes are computed from its own. */
  private structural({ type, shape, constant }: Value): string {
    const { graph } = this
    if (type !== 'int64' || !shape.length) return graph.constant({ type, shape, bytes: constant!.bytes })
    return this.dimensions(
      Array.from(new BigInt64Array(constant!.bytes.buffer, constant!.bytes.byteOffset, shape[0]), Number),
    )
  }

  private dimensions(values: readonly number[]): string {
    const { graph } = this
    if (!values.some((value) => this.isFree(value))) return graph.integers(values)
    const parts = values.map((value) => (this.isFree(value) ? this.size(value) : graph.integers([value])))
    return parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { axis: 0 })
  }

  private isFree(value: number): boolean {
    return value !== 0 && this.free().some(([stranger]) => value % stranger === 0)
  }

  /** The sizes that are free, each with what stands for it. */
  private free(): [stranger: number, name: string][] {
    const { batch, time, total, sizes } = this
    const all: [number, string | undefined][] = [
      [batch, sizes.batch],
      [time, sizes.time],
      [total, sizes.total],
    ]
    return all.filter((one): one is [number, string] => one[1] !== undefined)
  }

  /** A multiple of the batch's sizes, int64 [1]. */
  private size(value: number): string {
    const { graph } = this
    const factors: string[] = []
    let rest = value
    for (const [stranger, name] of this.free()) {
      if (rest % stranger) continue
      rest /= stranger
      factors.push(name)
    }
    if (rest !== 1) factors.push(graph.integers([rest]))
    return factors.reduce((a, b) => graph.node('Mul', [a, b]))
  }

  /** What the forward pass was given, or a number that it has made. */
  private leaf({ data, type, shape }: Value): string {
    const { graph } = this
    const given = this.given.get(data!)
    if (!given) {
      const bytes = new Uint8Array(data!.buffer, data!.byteOffset, data!.byteLength)
      return graph.constant({ type, shape, bytes })
    }
    return type === 'int32' ? graph.node('Reshape', [given(), this.dimensions(shape)]) : given()
  }
}

const KEY_AND_VALUE = ['key', 'value'] as const

/** What a pass says. */
interface Recorded {
  logits: tf.Tensor
  hidden: tf.Tensor[]
  present: { name: string; tensor: tf.Tensor }[]
}

/** The host's array of a tensor that was made of one. */
function dataOf(tensor: tf.Tensor): Data {
  return tensor.dataSync() as Data
}
