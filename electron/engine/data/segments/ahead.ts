import { Worker } from 'node:worker_threads'
import type { CorpusRead, Tokenizer } from '#contract'
import { toErrorShape } from '#contract'
import type { SegmentTokens } from './tokens'

/** What its thread opens; corpora by their place in the run's, which are told only where they have an index. */
export interface AheadWork {
  dataDir: string
  tokenizer: Tokenizer
  corpora: [number, CorpusRead][]
}

/** A segment that a step begins in, or the step that is at work. */
export type AheadOrder = { source: number; segment: number; step: number } | { now: number }

export type AheadAnswer = { source: number; segment: number; words: Int32Array } | { failed: string }

/**
 * Its program is beside this module: what the build has made of it, or the source. That is read through tsx, whose hooks a
 * thread can only set up itself.
 */
function startThread(workerData: AheadWork): Worker {
  // Node's own options are for the program that was started with them.
  const options = { name: 'tokens', workerData, execArgv: [] }
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./aheadThread.js', import.meta.url), options)
  const [api, program] = [
    import.meta.resolve('tsx/esm/api'),
    new URL('./aheadThread.ts', import.meta.url).href,
  ]
  const load = `import(${JSON.stringify(api)}).then(({ tsImport }) => tsImport(${JSON.stringify(program)}, ${JSON.stringify(program)}))`
  return new Worker(load, { ...options, eval: true })
}

/**
 * A thread that makes the tokens of the segments that coming steps need, in what the steps leave of the machine. Nothing
 * waits for it: what is not there when a step needs it the step makes itself.
 */
export class Ahead {
  private readonly thread: Worker
  private readonly asked = new Set<string>()
  private ended = false

  /** @param warn hears why it goes on no more */
  constructor(
    work: AheadWork,
    private readonly tokens: ReadonlyMap<number, SegmentTokens>,
    warn: (message: string) => void,
  ) {
    this.thread = startThread(work)
    this.thread.unref()
    const end = (why: string) => {
      if (!this.ended)
        warn(`tokens are made by the steps that need them, as the thread for it has ended: ${why}`)
      this.ended = true
    }
    this.thread.on('error', (error) => end(toErrorShape(error).message))
    this.thread.on('exit', (code) => end(`exit status ${code}`))
    this.thread.on('message', (answer: AheadAnswer) => {
      if ('failed' in answer) return end(answer.failed)
      this.asked.delete(`${answer.source}/${answer.segment}`)
      tokens.get(answer.source)!.hold(answer.segment, answer.words)
    })
  }

  /** Asks for a segment that a later step needs, if it is not there. */
  ask(source: number, segment: number, step: number): void {
    const name = `${source}/${segment}`
    if (this.ended || this.asked.has(name) || this.tokens.get(source)!.has(segment)) return
    this.asked.add(name)
    this.order({ source, segment, step })
  }

  now(step: number): void {
    if (!this.ended) this.order({ now: step })
  }

  async close(): Promise<void> {
    this.ended = true
    await this.thread.terminate()
    for (const one of this.tokens.values()) one.close()
  }

  private order(order: AheadOrder): void {
    this.thread.postMessage(order)
  }
}
