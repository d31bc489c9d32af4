import { parameterCount, type GenerationBench } from '#contract'
import { startBackend } from '../backend'
import { Decoder } from '../model/decoder'
import { nativeModel } from '../model/languageModel'
import { argMax } from '../model/sampling'
import { initialise, toTensors } from '../model/weights'
import { GREEDY, writeAlone, writeSequences } from '../model/writeSequences'
import type { Progress } from '../progress'
import { createRandom } from '../random'
import type { SizedJob } from './job'
import { models } from './models'

const PROMPT = [0, 1, 2, 3]
const TOKENS = 256
/** Of sequences that are written side by side. */
const TOGETHER = { prompt: 32, tokens: 64, counts: [1, 8, 32] }

/**
 * Greedy generation with the KV cache, and without: the whole text read anew for every token, by the same code; and of
 * several sequences side by side. Each runs once before the clock, so that no graph is compiled on it.
 */
export async function benchGeneration(job: SizedJob, progress: Progress): Promise<GenerationBench> {
  const config = models[job.config]
  const backend = await startBackend(job.backend, { threads: job.threads })
  const parameters = toTensors(initialise(config, 1))
  const decoder = new Decoder(config, parameters)

  async function run(cached: boolean): Promise<{ ids: number[]; seconds: number }> {
    const ids = [...PROMPT]
    const started = performance.now()
    decoder.forget(0)
    let unread = ids
    for (;;) {
      const [logits] = await decoder.read([{ text: 0, ids: unread }])
      ids.push(argMax(logits!))
      if (ids.length === PROMPT.length + TOKENS) return { ids, seconds: (performance.now() - started) / 1000 }
      if (!cached) decoder.forget(0)
      unread = cached ? ids.slice(-1) : ids
    }
  }

  const model = nativeModel(config, parameters)
  const prompts = Array.from({ length: Math.max(...TOGETHER.counts) }, (_, row) => {
    const random = createRandom(1, `prompt/${row}`)
    return Array.from({ length: TOGETHER.prompt }, () => random.integer(config.vocab))
  })
  async function write(sequences: number): Promise<number> {
    const { tokens } = TOGETHER
    const options = { ...GREEDY, tokens, ends: [] }
    const started = performance.now()
    if (sequences === 1) await writeAlone(model, prompts[0]!, options)
    else await writeSequences(model, prompts.slice(0, sequences), options)
    return (sequences * tokens) / ((performance.now() - started) / 1000)
  }

  progress('with the cache', 0)
  await run(true)
  const cached = await run(true)
  const together: GenerationBench['together'] = []
  for (const sequences of TOGETHER.counts) {
    progress(`${sequences} side by side`, 0.2)
    await write(sequences)
    together.push({ sequences, tokensPerSecond: await write(sequences) })
  }
  progress('without the cache', 0.5)
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
    together,
    backend: backend.kind,
    threads: backend.threads,
  }
}
