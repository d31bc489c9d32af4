import type { InferenceSession } from 'onnxruntime-node'
import { withThreading, type Ort, type Threading } from './session'

/** Compiled graphs kept; the one longest unused is released beyond that. */
const MOST = 64

/** A compiled graph, and what it can be compiled from again. */
export interface Compiled {
  session: InferenceSession
  model: Uint8Array
  options: InferenceSession.SessionOptions
  threading: Threading
}

/** The sessions that graphs have been compiled to, by the graphs' structure. */
export class CompiledGraphs {
  /** In order of last use. */
  private readonly sessions = new Map<string, Compiled>()

  constructor(
    private readonly ort: Ort,
    /** What it counts, and how long it took. */
    private readonly statistics: { compiled: number; compileMs: number },
    private readonly capacity = MOST,
  ) {}

  get size(): number {
    return this.sessions.size
  }

  find(key: string): Compiled | undefined {
    const compiled = this.sessions.get(key)
    if (!compiled) return undefined
    this.sessions.delete(key)
    this.sessions.set(key, compiled)
    return compiled
  }

  /** The session of a graph's structure, compiled now unless it has been. */
  async of(key: string, form: () => Pick<Compiled, 'model' | 'options'>): Promise<InferenceSession> {
    const cached = this.find(key)
    if (cached) return cached.session
    const { model, options } = form()
    const session = await this.create(model, options)
    this.sessions.set(key, { session, model, options, threading: 'waiting' })
    if (this.sessions.size > this.capacity) {
      const [oldest, unused] = this.sessions.entries().next().value!
      this.sessions.delete(oldest)
      await unused.session.release()
    }
    return session
  }

  /** With other threads: the memory that its first ones worked in is given back before. */
  async recompile(key: string, compiled: Compiled, threading: Threading): Promise<void> {
    this.sessions.delete(key)
    await compiled.session.release()
    compiled.session = await this.create(compiled.model, withThreading(compiled.options, threading))
    compiled.threading = threading
    this.sessions.set(key, compiled)
  }

  /** Resolves when the memory that they worked in has been given back. */
  async dispose(): Promise<void> {
    const released = [...this.sessions.values()].map(({ session }) => session.release())
    this.sessions.clear()
    await Promise.all(released)
  }

  private async create(
    model: Uint8Array,
    options: InferenceSession.SessionOptions,
  ): Promise<InferenceSession> {
    const started = performance.now()
    const session = await this.ort.InferenceSession.create(model, options)
    this.statistics.compiled++
    this.statistics.compileMs += performance.now() - started
    return session
  }
}
