import type { InferenceSession, OnnxValue } from 'onnxruntime-node'
import { node } from './builder'
import { traceGraph, Value, type Data, type Dtype, type Graph } from './graph'
import { encodeModel } from './onnx'
import { Retirement } from './retirement'
import type { Ort } from './session'

type Tensor = InstanceType<Ort['Tensor']>

/** Smaller leaves are fed anew: they change with each step (batch, learning rate) and cost nothing. */
const WORTH_KEEPING = 4096

/**
 * What stays in a GPU's memory between session runs: every output but those that are read, and large inputs that come
 * a second time. A value is copied out through a session of one Identity, for `getData()` on a GPU tensor aborts the
 * process (onnxruntime-node 1.30).
 */
export class Residency extends Retirement {
  private readonly fed = new WeakSet<Value>()
  private readonly copies = new Map<string, Promise<InferenceSession>>()

  constructor(
    private readonly ort: Ort,
    private readonly options: InferenceSession.SessionOptions,
  ) {
    super()
  }

  /** The tensor to feed for a leaf; in the GPU if it is there or is worth keeping there. */
  async feed(leaf: Value): Promise<Tensor> {
    if (leaf.resident) return leaf.resident
    const tensor = new this.ort.Tensor(leaf.type as Dtype, leaf.data as never, leaf.shape)
    if (leaf.size < WORTH_KEEPING || leaf.live === 0) return tensor
    if (!this.fed.has(leaf)) {
      this.fed.add(leaf)
      return tensor
    }
    leaf.resident = await this.copy(leaf, tensor, 'gpu-buffer')
    leaf.data = undefined
    return leaf.resident
  }

  async read({ type, shape, resident }: Value): Promise<Data> {
    const tensor = await this.copy({ type, shape }, resident!, 'cpu')
    return tensor.data as Data
  }

  /** Where each output stays: with the device, but for those that somebody waits for. */
  locations({ outputs, names }: Graph, wanted: ReadonlySet<Value>): Record<string, 'cpu' | 'gpu-buffer'> {
    const place = (value: Value) => (wanted.has(value) ? ('cpu' as const) : ('gpu-buffer' as const))
    return Object.fromEntries(outputs.map((value) => [names.get(value)!, place(value)]))
  }

  protected override holds(value: Value): boolean {
    return value.resident !== undefined
  }

  dispose(values: Iterable<Value>): void {
    this.free([...this.retired, ...values])
    this.retired = []
    for (const session of this.copies.values()) void session.then((s) => s.release())
    this.copies.clear()
  }

  protected override free(values: readonly Value[]): void {
    for (const value of values) {
      value.resident?.dispose()
      value.resident = undefined
    }
  }

  private async copy(
    { type, shape }: Pick<Value, 'type' | 'shape'>,
    tensor: Tensor,
    location: 'cpu' | 'gpu-buffer',
  ): Promise<Tensor> {
    const key = `${location}:${type}[${shape.join()}]`
    let session = this.copies.get(key)
    if (!session) {
      const from = new Value(shape, type)
      // What it holds does not matter: a leaf is an input of the graph, and only the graph is kept.
      from.data = new Uint8Array()
      const model = encodeModel(traceGraph([node('Identity', [from], shape, type)]))
      session = this.ort.InferenceSession.create(model, {
        ...this.options,
        preferredOutputLocation: location,
      })
      this.copies.set(key, session)
    }
    const results: Record<string, OnnxValue> = await (await session).run({ i0: tensor })
    return results.n0_0 as Tensor
  }
}
