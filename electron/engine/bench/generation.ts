import { parameterCount, type GenerationBench } from '#contract'
import { startBackend } from '../backend'
import { Decoder } from '../model/decoder'
import { argMax } from '../model/sampling'
import { initialise, toTensors } from '../model/weights'
import type { Progress } from '../progress'
import type { SizedJob } from './job'
import { models } from './models'

const PROMPT = [0, 1, 2, 3]
const TOKENS = 256

/**
 * Greedy generation with the KV cache, and without: the whole text read anew for every token, by the same code. Each
 * runs once before the clock, so that no graph is compiled on it.
 */
export async function benchGeneration(job: SizedJob, progress: Progress): Promise<GenerationBench> {
  const config = models[job.config]
  const backend = await startBackend(job.backend, { threads: job.threads })
  const decoder = new Decoder(config, toTensors(initialise(config, 1)))

  async function run(cached: boolean): Promise<{ ids: number[]; seconds: number }> {
    const ids = [...PROMPT]
    const started = performance.now()
    decoder.reset()
    let logits = await decoder.read(ids)
    for (;;) {
      ids.push(argMax(logits))
      if (ids.length === PROMPT.length + TOKENS) return { ids, seconds: (performance.now() - started) / 1000 }
      if (!cached) decoder.reset()
      logits = await decoder.read(cached ? ids.slice(-1) : ids)
    }
  }

  progress('with the cache', 0)
  await run(true)
  const cached = await run(true)
  progress('without the cache', 0.3)
  await run(false)
  const uncached = await run(false)
  return {
    part: 'generation',
    config: job.config,
    parameters: parameterCount(config),
    tokens: TOKENS,
    tokensPerSecond: TOKENS / cached.seconds,
    tokensPerSecondWithoutCache: TOKENS / uncached.seconds,
    ratio: uncached.seconds / cached.seconds,
    sameTokens: cached.ids.join() === uncached.ids.join(),
    backend: backend.kind,
    threads: backend.threads,
  }
}
