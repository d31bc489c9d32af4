import type { Data, Dtype, Value } from './graph'

/**
 * The host's memory of outputs, used in turn. A training step gives every weight and moment anew; were each of them
 * fresh memory, old ones would lie about until the garbage collector finds them. A buffer comes back when the last
 * tensor of its value is disposed of and no graph still to be computed can read it; what somebody has read, or sees
 * under another shape, does not come back.
 */
export class OutputBuffers {
  private readonly free = new Map<string, Data[]>()
  private readonly own = new WeakSet<Data>()
  /** No tensor stands for them any more, but graphs still to be computed may read them. */
  private retired: Value[] = []

  /** Memory for a value's data; what is in it is undefined. */
  take({ type, size }: Value): Data {
    const data = this.free.get(`${type}${size}`)?.pop() ?? allocate(type as Dtype, size)
    this.own.add(data)
    return data
  }

  /** Somebody holds the data: it is never written again. */
  lend(data: Data): Data {
    this.own.delete(data)
    return data
  }

  /** Called when the last tensor of a value is disposed of. */
  retire(value: Value): void {
    if (value.data && this.own.has(value.data)) this.retired.push(value)
  }

  /**
   * Called before a graph is traced; the function that comes back, when all that graph's outputs are there: nothing
   * computed later reads what was retired before.
   */
  mark(): () => void {
    const before = this.retired
    this.retired = []
    return () => {
      for (const value of before) this.reclaim(value)
    }
  }

  /** Unless something else has come to hold it since. */
  private reclaim(value: Value): void {
    const { data, live, shared } = value
    if (!data || live > 0 || shared || !this.own.delete(data)) return
    value.data = undefined
    this.keep(data)
  }

  dispose(): void {
    this.free.clear()
    this.retired = []
  }

  private keep(data: Data): void {
    const key = `${typeOf(data)}${data.length}`
    const list = this.free.get(key)
    if (list) list.push(data)
    else this.free.set(key, [data])
  }
}

function allocate(type: Dtype, size: number): Data {
  if (type === 'float32') return new Float32Array(size)
  return type === 'int32' ? new Int32Array(size) : new Uint8Array(size)
}

function typeOf(data: Data): Dtype {
  if (data instanceof Float32Array) return 'float32'
  return data instanceof Int32Array ? 'int32' : 'bool'
}
