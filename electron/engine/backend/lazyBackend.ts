import type * as tfTypes from '@tensorflow/tfjs'
import type { InferenceSession } from 'onnxruntime-node'
import { failed } from '#contract'
import { CompiledGraphs } from './compiledGraphs'
import { forget, traceGraph, Value, type Data, type Dtype, type Graph, type Runnable } from './graph'
import { encodeHalf } from './half'
import { encodeModel } from './onnx'
import { dtypeOf, known, signed } from './known'
import { OutputMemory } from './outputs'
import type { Residency } from './residency'
import { RowSums } from './rowSum'
import { noStatistics } from './statistics'
import { withoutMerging, type Ort, type Threading } from './session'
import { tf } from './tf'

type DataId = tfTypes.DataId
type TensorInfo = tfTypes.TensorInfo

interface Entry {
  value: Value
  references: number
}

/**
 * A tfjs backend that computes nothing when a kernel is called: a kernel records values and returns. When data is
 * read, everything that the live tensors depend on becomes one ONNX model, compiled once per structure and run as one
 * session run. What is known already (weights, moments, batch, learning rate) is an input of that model, so a training
 * step is compiled once.
 */
export class LazyBackend extends tf.KernelBackend {
  readonly statistics = noStatistics()
  private readonly entries = new WeakMap<DataId, Entry>()
  private entryCount = 0
  private readonly live = new Set<Value>()
  readonly compiled: CompiledGraphs
  private flushing: Promise<void> | undefined
  /** Values that somebody waits to read: the outputs that come to the host. */
  private readonly wanted = new Set<Value>()
  private readonly outputs = new OutputMemory()
  private half = false
  private look: ((graph: Graph, pending: readonly Value[]) => void) | undefined

  constructor(
    private readonly ort: Ort,
    private readonly options: InferenceSession.SessionOptions,
    capacity?: number,
    /** Keeps what is not read in the device's memory. */
    private readonly residency?: Residency,
  ) {
    super()
    this.compiled = new CompiledGraphs(ort, this.statistics, capacity)
  }

  /** The value that a tensor stands for. */
  value(tensor: { dataId: DataId }): Value {
    return this.entry(tensor.dataId).value
  }

  /** A tensor for a value that a kernel has recorded. */
  tensor(value: Value): TensorInfo {
    const dataId = {}
    this.store(dataId, value, 1)
    return { dataId, shape: [...value.shape], dtype: dtypeOf(value) }
  }

  /** Another tensor for the same data, as tfjs's own backends share it. */
  share(tensor: TensorInfo): TensorInfo {
    this.incRef(tensor.dataId)
    return { dataId: tensor.dataId, shape: tensor.shape, dtype: tensor.dtype }
  }

  override write(values: tfTypes.BackendValues, shape: number[], dtype: tfTypes.DataType): DataId {
    const dataId = {}
    this.store(dataId, known(values, shape, dtype), 1)
    return dataId
  }

  override move(
    dataId: DataId,
    values: tfTypes.BackendValues,
    shape: number[],
    dtype: tfTypes.DataType,
    refCount: number,
  ): void {
    this.store(dataId, known(values, shape, dtype), refCount)
  }

  override async read(dataId: DataId): Promise<tfTypes.BackendValues> {
    const { value } = this.entry(dataId)
    if (!value.ready) this.wanted.add(value)
    while (!value.ready) await this.flush()
    this.wanted.delete(value)
    return value.data ? this.outputs.lend(value.data) : this.residency!.read(value)
  }

  override readSync(dataId: DataId): tfTypes.BackendValues {
    const { value } = this.entry(dataId)
    if (value.data) return this.outputs.lend(value.data)
    if (value.resident) throw failed('the tensor is in the memory of the device; await data()')
    throw failed(
      `the tensor made by ${value.op?.name} has not been computed; the onnx backend computes when data() is awaited, dataSync() cannot wait`,
    )
  }

  /**
   * The host's array of a tensor that has been computed. It is the backend's: it may be given back once the tensor is
   * disposed of, and who writes to it changes the tensor.
   */
  held({ dataId }: { dataId: DataId }): Data {
    const { data } = this.entry(dataId).value
    if (!data) throw failed('the tensor has not been computed, or is in the memory of the device')
    return data
  }

  /** Computes every live tensor in one session run. Calls are served one after the other. */
  async flush(): Promise<void> {
    if (this.flushing) return this.flushing
    this.flushing = this.compute().finally(() => (this.flushing = undefined))
    return this.flushing
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const entry = this.entries.get(dataId)
    if (!entry) return true
    entry.references--
    entry.value.references--
    if (!force && entry.references > 0) return false
    if (--entry.value.live === 0) {
      this.live.delete(entry.value)
      this.residency?.retire(entry.value)
      this.outputs.retire(entry.value)
    }
    this.entries.delete(dataId)
    this.entryCount--
    return true
  }

  override refCount(dataId: DataId): number {
    return this.entries.get(dataId)?.references ?? 0
  }

  override incRef(dataId: DataId): void {
    const entry = this.entry(dataId)
    entry.references++
    entry.value.references++
  }

  decRef(dataId: DataId): void {
    const entry = this.entries.get(dataId)
    if (!entry) return
    entry.references--
    entry.value.references--
  }

  override numDataIds(): number {
    return this.entryCount
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return {
      unreliable: true,
      reasons: ['pending values have no memory yet; activations live in the runtime’s arena'],
    }
  }

  override floatPrecision(): 32 {
    return 32
  }

  override epsilon(): number {
    return 1e-7
  }

  override timerAvailable(): boolean {
    return false
  }

  /** Gives back what compiled graphs worked in; nothing on a GPU, where what is held lies in its sessions. */
  async rest(): Promise<void> {
    while (this.flushing) await this.flushing
    if (!this.residency) await this.compiled.dispose()
  }

  override dispose(): void {
    void this.compiled.dispose()
    this.residency?.dispose(this.live)
    this.live.clear()
  }

  /** Whether graphs computed from now on keep what waits in half precision (half.ts). */
  keepInHalf(on: boolean): void {
    this.half = on
  }

  private async compute(): Promise<void> {
    const started = performance.now()
    const marks = [this.residency?.mark(), this.outputs.mark()]
    const release = () => marks.forEach((done) => done?.())
    const pending = [...this.live].filter((value) => !value.ready)
    if (!pending.length) return release()
    const sums = this.residency ? undefined : RowSums.among(pending)
    const graph = traceGraph(sums?.parts ?? pending)
    this.look?.(graph, pending)
    this.look = undefined
    this.statistics.flushes++
    this.statistics.nodes = graph.nodes.length
    this.statistics.traceMs += performance.now() - started

    // Of sums whose parts are known already the graph is empty, and the runtime refuses such.
    if (graph.nodes.length) await this.run(await this.session(graph), graph)
    sums?.finish(this.outputs)
    forget(graph)
    release()
  }

  /**
   * Computes values that have been recorded.
   * @param look is shown the graph that computes them, and all that it has been made for
   */
  async computeAll(values: readonly Value[], look: NonNullable<LazyBackend['look']>): Promise<void> {
    while (values.some((value) => !value.ready)) {
      while (this.flushing) await this.flushing
      this.look = look
      await this.flush()
    }
  }

  /**
   * Runs a graph that has been compiled with other inputs.
   * @param results its outputs, or sums of rows of them
   * @param threading how its threads wait
   * @returns false, with nothing done, if it is compiled no more
   */
  async computeAgain(graph: Runnable, results: readonly Value[], threading: Threading): Promise<boolean> {
    while (this.flushing) await this.flushing
    const key = this.keyOf(graph.key)
    const compiled = this.compiled.find(key)
    if (!compiled) return false
    const release = this.outputs.mark()
    const work = async () => {
      if (compiled.threading !== threading) await this.compiled.recompile(key, compiled, threading)
      await this.run(compiled.session, graph)
      RowSums.among(results)?.finish(this.outputs)
      release()
    }
    this.flushing = work().finally(() => (this.flushing = undefined))
    await this.flushing
    return true
  }

  /** Gives the outputs of a graph their data. */
  private async run(session: InferenceSession, graph: Runnable): Promise<void> {
    const running = performance.now()
    const feeds: Record<string, InstanceType<Ort['Tensor']>> = {}
    for (const leaf of graph.leaves) {
      feeds[graph.names.get(leaf)!] = this.residency
        ? await this.residency.feed(leaf)
        : new this.ort.Tensor(leaf.type as Dtype, signed(leaf) as never, leaf.shape)
    }
    const results = await session.run(feeds)
    for (const output of graph.outputs) {
      const tensor = results[graph.names.get(output)!]!
      if (tensor.location === 'cpu') this.outputs.adopt(output, tensor.data as Data)
      else output.resident = tensor
    }
    this.statistics.runMs += performance.now() - running
  }

  private session(graph: Graph): Promise<InferenceSession> {
    const locations = this.residency?.locations(graph, this.wanted)
    const place = locations ? `${graph.key}@${Object.values(locations).join()}` : graph.key
    return this.compiled.of(this.keyOf(place), () => {
      const options = this.half ? withoutMerging(this.options) : this.options
      return {
        model: this.half ? encodeHalf(graph) : encodeModel(graph),
        options: locations ? { ...options, preferredOutputLocation: locations } : options,
      }
    })
  }

  /** A graph in half precision is another session than the same in full. */
  private keyOf(graph: string): string {
    return this.half ? `${graph}/half` : graph
  }

  private store(dataId: DataId, value: Value, references: number): void {
    this.entries.set(dataId, { value, references })
    this.entryCount++
    value.live++
    value.references += references
    this.live.add(value)
  }

  private entry(dataId: DataId): Entry {
    const entry = this.entries.get(dataId)
    if (!entry) throw failed('the tensor has been disposed of, or belongs to another backend')
    return entry
  }
}
