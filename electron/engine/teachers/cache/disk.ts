import { Worker } from 'node:worker_threads'
import { failed } from '#contract'
import { diskFull, isDiskFull } from '../../../files'
import type { BlockAnswer, BlockRequest } from './diskThread.mjs'

type Order = Omit<BlockRequest, 'id' | 'kind'>

interface Waiting {
  path: string
  /** Bytes of the block's payload. */
  size: number
  resolve(answer: BlockAnswer): void
  reject(error: Error): void
}

/** Beside this module: the source, or what the build has made of it. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './diskThread.mjs' : './diskThread.js',
  import.meta.url,
)

/**
 * A thread that reads, writes and checksums blocks of files, one after the other in the order they are asked for. A
 * session run holds the thread of JavaScript until it has ended; this one goes on meanwhile.
 *
 * A block's buffer is handed over with the order, and back with the answer: nothing is copied, and none of the two
 * threads sees what the other one is at work on.
 */
export class Disk {
  private thread: Worker | undefined
  private readonly waiting = new Map<number, Waiting>()
  private ended: Error | undefined
  private orders = 0

  /** It starts with the first order. */
  constructor(private readonly program: URL = PROGRAM) {}

  /** Reads a block; `whole` tells whether all of it was there and its checksum is right. */
  async read(order: Order): Promise<{ buffer: ArrayBuffer; whole: boolean }> {
    const { buffer, whole = false } = await this.order('read', order)
    return { buffer, whole }
  }

  /**
   * Writes a block with its checksum, the payload first. The file and its folder are made where there are none.
   *
   * @throws failed when the disk is full
   */
  async write(order: Order): Promise<ArrayBuffer> {
    return (await this.order('write', order)).buffer
  }

  /** Ends the thread; orders that have not been answered are refused, and so is every later one. */
  async close(): Promise<void> {
    this.end(failed("the teachers' outputs are closed"))
    await this.thread?.terminate()
    this.thread = undefined
  }

  private order(kind: BlockRequest['kind'], order: Order): Promise<BlockAnswer> {
    if (this.ended) return Promise.reject(this.ended)
    const thread = (this.thread ??= this.start())
    const request: BlockRequest = { id: ++this.orders, kind, ...order }
    return new Promise((resolve, reject) => {
      const { id, path, size } = request
      this.waiting.set(id, { path, size, resolve, reject })
      thread.ref()
      thread.postMessage(request, [order.buffer])
    })
  }

  private start(): Worker {
    // Node's own options are for the program that was started with them: a loader of TypeScript has no work here.
    const thread = new Worker(this.program, { name: 'teacher outputs', execArgv: [] })
    const died = (why: string) =>
      this.end(failed(`the thread that reads and writes the teachers' outputs has died: ${why}`))
    thread.on('error', (error) => died(error.message))
    thread.on('exit', (code) => died(`exit status ${code}`))
    thread.on('message', (answer: BlockAnswer) => {
      const order = this.waiting.get(answer.id)
      // Whoever ended this has refused it meanwhile.
      if (!order) return
      const { path, size, resolve, reject } = order
      this.waiting.delete(answer.id)
      // It is no reason for the process to stay: only what is awaited is.
      if (!this.waiting.size) thread.unref()
      if (!answer.error) return resolve(answer)
      const { message, code } = answer.error
      const error = Object.assign(new Error(`${path}: ${message}`), { code })
      reject(isDiskFull(error) ? diskFull(path, size, error) : error)
    })
    return thread
  }

  private end(reason: Error): void {
    this.ended ??= reason
    for (const { reject } of this.waiting.values()) reject(this.ended)
    this.waiting.clear()
  }
}
