import type { BenchResult, Job } from '#contract'
import { startBackend } from '../backend'
import { peakMemoryMb } from '../heap'
import type { Progress } from '../progress'
import { Ceiling } from './ceiling'
import { median } from './models'
import { configurations, ReferenceStep, stepFlops } from './reference'

/** Steps before the clock: the first compiles the graph, the next fill the arena and warm the interpreter. */
const WARM_UP = 5
/** Samples of the ceiling, spread over the steps, so that a stolen core slows both. */
const CEILING_SAMPLES = 24
/** After so many steps memory should have found its size. */
const SETTLED = 200

/** Times the engine's training step; the median of the timed steps stands for it. */
export async function bench(job: Extract<Job, { kind: 'bench' }>, progress: Progress): Promise<BenchResult> {
  const configuration = configurations[job.config]
  const backend = await startBackend(job.backend, { threads: job.threads })
  const step = new ReferenceStep(configuration)
  const ceiling = new Ceiling()
  await ceiling.sample()
  const times: number[] = []
  let firstLoss = NaN
  let lastLoss = NaN
  let startMb: number | undefined
  const every = Math.ceil(job.steps / CEILING_SAMPLES)
  for (let i = 1; i <= WARM_UP + job.steps; i++) {
    const started = performance.now()
    lastLoss = await step.run(i)
    if (i === 1) firstLoss = lastLoss
    if (i > WARM_UP) {
      times.push(performance.now() - started)
      if (times.length % every === 0) await ceiling.sample()
      if (times.length === SETTLED && job.steps >= 2 * SETTLED) startMb = residentMb()
    }
    progress(`step ${i}`, i / (WARM_UP + job.steps))
  }
  const msPerStep = median(times)
  const gflops = stepFlops(configuration) / msPerStep / 1e6
  const ceilingGflops = ceiling.gflops()
  return {
    config: job.config,
    msPerStep,
    minMsPerStep: Math.min(...times),
    tokensPerSecond: ((configuration.batch * configuration.time) / msPerStep) * 1000,
    gflops,
    ceilingGflops,
    mfu: gflops / ceilingGflops,
    peakRssMb: peakMemoryMb(),
    ...(startMb && { growth: { startMb, endMb: residentMb() } }),
    backend: backend.kind,
    threads: backend.threads,
    parameters: [...step.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    firstLoss,
    lastLoss,
  }
}

function residentMb(): number {
  return process.memoryUsage.rss() / 2 ** 20
}
