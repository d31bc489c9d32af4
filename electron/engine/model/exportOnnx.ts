import {
  attentionScale,
  badInput,
  headSize,
  parameterCount,
  rotaries,
  weightShapes,
  type ModelConfig,
} from '#contract'
import type { Data, Graph, Value } from '../backend/graph'
import { encodeOnnx } from '../backend/onnx'
import type { OnnxModel, OnnxTensor, ValueInfo } from '../backend/onnxModel'
import { record } from '../backend/record'
import { tf } from '../backend/tf'
import { createTables, forward } from './forward'
import { OnnxBuilder } from './onnx/builder'
import { hiddenOutput } from './onnx/signature'
import { SequenceTables } from './onnx/tables'
import type { Weights } from './weights'

/** Protobuf holds messages of less than 2 GB; the graph beside the weights is small. */
const LARGEST = 2 ** 31 - 2 ** 20

/**
 * A model as a serialised ONNX file of standard operators (set 18): `input_ids` int64 [batch, sequence] to `logits`
 * float32 [batch, sequence, vocab], both axes free. It is what `forward` records of one batch, with the batch's sizes
 * made free and the tables of a forward pass computed from the sequence's length.
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
  // Other tools want what the weights have: ids beyond the tokenizer's too.
  const { rows: all, ...rest } = config
  return encodeOnnx(new Recording({ ...rest, vocab: all ?? config.vocab }, weights).model(hiddenStates))
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
  private readonly batch: number
  private readonly time: number
  /** The sizes that are free, int64 [1]. */
  private readonly sizes: { batch: string; time: string }

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: Weights,
  ) {
    const [batch, time] = strangers(config)
    ;[this.batch, this.time] = [batch!, time!]
    const { graph } = this
    const shape = graph.node('Shape', ['input_ids'])
    const size = (axis: number) =>
      graph.node('Slice', [shape, graph.integers([axis]), graph.integers([axis + 1])])
    this.sizes = { batch: size(0), time: size(1) }
  }

  model(hiddenStates: boolean): OnnxModel {
    const { config, graph } = this
    const { vocab, width, layers, context } = config
    const recorded = record(() => this.pass(hiddenStates))
    this.write(recorded)
    const give = (name: string, i: number, size: number) => {
      const value = this.nameOf(recorded.outputs[i]!, recorded)
      graph.nodes.push({ name: 'Identity', inputs: [value], outputs: [name] })
      this.outputs.push({ name, type: 'float32', shape: ['batch', 'sequence', size] })
    }
    give('logits', 0, vocab)
    if (hiddenStates) for (let n = 0; n <= layers; n++) give(hiddenOutput({ layers }, n), n + 1, width)
    return {
      nodes: graph.nodes,
      initialisers: this.initialisers,
      inputs: [{ name: 'input_ids', type: 'int64', shape: ['batch', 'sequence'] }],
      outputs: this.outputs,
      metadata: { context: String(context) },
    }
  }

  /** The forward pass that is recorded; what it is given is noted. */
  private pass(hiddenStates: boolean): tf.Tensor[] {
    const { config, batch, time } = this
    const parameters = new Map<string, tf.Tensor>()
    for (const [name, { shape, data }] of this.weights) {
      parameters.set(name, tf.tensor(data, shape))
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      this.initialisers.push({ name, type: 'float32', shape, bytes })
      this.given.set(data, () => name)
    }
    const tables = createTables(config, time)
    this.noteTables(tables)
    const ids = new Int32Array(batch * time)
    this.given.set(ids, () => 'input_ids')
    const { logits, hidden } = forward(config, parameters, tf.tensor2d(ids, [batch, time]), tables)
    const whole = [logits, ...(hiddenStates ? hidden : [])]
    tables.dispose()
    return whole.map((rows) => tf.reshape(rows, [batch, time, -1]))
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
    return value !== 0 && (value % this.batch === 0 || value % this.time === 0)
  }

  /** A multiple of the batch's sizes, int64 [1]. */
  private size(value: number): string {
    const { graph } = this
    const factors: string[] = []
    let rest = value
    for (const [stranger, name] of [
      [this.batch, this.sizes.batch],
      [this.time, this.sizes.time],
    ] as const) {
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

/** The host's array of a tensor that was made of one. */
function dataOf(tensor: tf.Tensor): Data {
  return tensor.dataSync() as Data
}

/**
 * Two sizes that no other size of the model is a multiple of, so that the batch's are told from them wherever they
 * appear. They are short enough for attention to take the queries in one block.
 */
function strangers(config: ModelConfig): number[] {
  const { heads, kvHeads, hidden, context } = config
  const shapes = [...weightShapes(config).values()].flat()
  const dimensions = rotaries(config).flatMap((rotary) => [rotary.dimensions, rotary.dimensions / 2])
  const sizes = [...shapes, ...dimensions, heads, kvHeads, hidden, context, headSize(config)]
  const primes = [251, 241, 239, 233, 229, 227, 223, 211, 199, 197, 193, 191, 181, 179, 173, 167]
  return primes.filter((prime) => sizes.every((size) => size % prime)).slice(0, 2)
}
