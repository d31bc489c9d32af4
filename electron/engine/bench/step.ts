import type { BenchResult, Job } from '#contract'
import { startBackend } from '../backend'
import type { Progress } from '../progress'
import { configurations, ReferenceStep, stepFlops } from './reference'

/** Steps before the clock: the first compiles the graph, the next fill the arena and warm the interpreter. */
const WARM_UP = 5

/** Times the engine's training step; the median of the timed steps stands for it. */
export async function bench(job: Extract<Job, { kind: 'bench' }>, progress: Progress): Promise<BenchResult> {
  const configuration = configurations[job.config]
  const backend = await startBackend(job.backend, { threads: job.threads })
  const step = new ReferenceStep(configuration)
  const times: number[] = []
  let firstLoss = NaN
  let lastLoss = NaN
  for (let i = 1; i <= WARM_UP + job.steps; i++) {
    const started = performance.now()
    lastLoss = await step.run(i)
    if (i === 1) firstLoss = lastLoss
    if (i > WARM_UP) times.push(performance.now() - started)
    progress(`step ${i}`, i / (WARM_UP + job.steps))
  }
  times.sort((a, b) => a - b)
  const msPerStep = times[Math.floor(times.length / 2)]!
  const tokens = configuration.batch * configuration.time
  return {
    config: job.config,
    msPerStep,
    minMsPerStep: times[0]!,
    tokensPerSecond: (tokens / msPerStep) * 1000,
    gflops: stepFlops(configuration) / msPerStep / 1e6,
    // Kilobytes on every platform.
    peakRssMb: process.resourceUsage().maxRSS / 1024,
    backend: backend.kind,
    threads: backend.threads,
    parameters: [...step.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    firstLoss,
    lastLoss,
  }
}
