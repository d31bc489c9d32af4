import type { InferenceSession, OnnxValue } from 'onnxruntime-node'
import { node } from './builder'
import { traceGraph, Value, type Data, type Dtype } from './graph'
import { encodeModel } from './onnx'

type Ort = typeof import('onnxruntime-node')
type Tensor = InstanceType<Ort['Tensor']>

/** Smaller leaves are fed anew: they change with each step (batch, learning rate) and cost nothing. */
const WORTH_KEEPING = 4096

/**
 * What stays in a GPU's memory between session runs: every output but those that are read, and large inputs that come
 * a second time. A value is copied out through a session of one Identity, for `getData()` on a GPU tensor aborts the
 * process (onnxruntime-node 1.30).
 */
export class Residency {
  private readonly fed = new WeakSet<Value>()
  private readonly copies = new Map<string, Promise<InferenceSession>>()
  /** No tensor stands for them any more, but graphs still to be computed may read them. */
  private retired: Value[] = []

  constructor(
    private readonly ort: Ort,
    private readonly options: InferenceSession.SessionOptions,
  ) {}

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

  /** Called when the last tensor of a value is disposed of. */
  retire(value: Value): void {
    if (value.resident) this.retired.push(value)
  }

  /**
   * Called before a graph is traced; the function that comes back, when all that graph's outputs are there: nothing
   * computed later reads what was retired before.
   */
  mark(): () => void {
    const before = this.retired
    this.retired = []
    return () => {
      for (const value of before) this.free(value)
    }
  }

  dispose(values: Iterable<Value>): void {
    for (const value of [...this.retired, ...values]) this.free(value)
    this.retired = []
    for (const session of this.copies.values()) void session.then((s) => s.release())
    this.copies.clear()
  }

  private free(value: Value): void {
    value.resident?.dispose()
    value.resident = undefined
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
