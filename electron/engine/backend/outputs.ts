import { MessageChannel } from 'node:worker_threads'
import type { Data, Value } from './graph'
import { Retirement } from './retirement'

/** Smaller arrays are left to the garbage collector: giving one back takes about ten microseconds. */
const WORTH_FREEING = 4096

/**
 * The host's memory of outputs. A training step gives every weight and moment anew, in fresh arrays; left to the
 * garbage collector they would make it run every other step and lie about until then. One is given back when the last
 * tensor of its value is disposed of and no graph still to be computed can read it; what somebody has read, or sees
 * under another shape, is not.
 *
 * JavaScript cannot free an array, but a message can take its memory along, and a message that nobody will receive
 * is freed where it is posted.
 */
export class OutputMemory extends Retirement {
  private readonly own = new WeakSet<Data>()
  private readonly nobody = closedPort()

  /** The runtime has computed a value into memory that is nobody else's. */
  adopt(value: Value, data: Data): void {
    value.data = data
    if (data.byteLength < WORTH_FREEING) return
    this.own.add(data)
    // Disposed of while it was computed.
    if (value.live === 0) this.retire(value)
  }

  /** Somebody holds the data: it is not given back. */
  lend(data: Data): Data {
    this.own.delete(data)
    return data
  }

  protected override holds({ data }: Value): boolean {
    return data !== undefined && this.own.has(data)
  }

  /** Gives back the memory of values, unless something else has come to hold it since. */
  protected override free(values: readonly Value[]): void {
    const buffers: ArrayBufferLike[] = []
    for (const value of values) {
      const { data, live, shared } = value
      if (!data || live > 0 || shared || !this.own.delete(data)) continue
      value.data = undefined
      buffers.push(data.buffer)
    }
    if (buffers.length) this.nobody.postMessage(undefined, buffers as ArrayBuffer[])
  }
}

function closedPort() {
  const { port1, port2 } = new MessageChannel()
  port1.close()
  port2.close()
  return port1
}
