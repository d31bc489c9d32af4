import type { BenchResult } from '#contract'
import { startBackend } from '../backend'
import { peakMemoryMb } from '../heap'
import type { Progress } from '../progress'
import type { BenchJob } from './job'
import { Ceiling } from './ceiling'
import { median } from './models'
import { RealStep } from './real'
import { configurations, ReferenceStep, stepFlops } from './reference'

/** Steps before the clock: the first compiles the graph, the next fill the arena and warm the interpreter. */
const WARM_UP = 5
/** Of steps that take seconds: the third is run as all later ones are, without being recorded. */
const WARM_UP_REAL = 3
/** Samples of the ceiling, spread over the steps, so that a stolen core slows both. */
const CEILING_SAMPLES = 24
/** After so many steps memory should have found its size. */
const SETTLED = 200

/** Times the engine's training step; the median of the timed steps stands for it. */
export async function bench(job: BenchJob, progress: Progress): Promise<BenchResult> {
  const backend = await startBackend(job.backend, { threads: job.threads })
  const step = stepOf(job)
  const warmUp = job.config === 'R' ? WARM_UP_REAL : WARM_UP
  const ceiling = new Ceiling()
  await ceiling.sample()
  const times: number[] = []
  let firstLoss = NaN
  let lastLoss = NaN
  let startMb: number | undefined
  const every = Math.ceil(job.steps / CEILING_SAMPLES)
  for (let i = 1; i <= warmUp + job.steps; i++) {
    const started = performance.now()
    lastLoss = await step.run(i)
    if (i === 1) firstLoss = lastLoss
    if (i > warmUp) {
      times.push(performance.now() - started)
      if (times.length % every === 0) await ceiling.sample()
      if (times.length === SETTLED && job.steps >= 2 * SETTLED) startMb = residentMb()
    }
    progress(`step ${i}`, i / (warmUp + job.steps))
  }
  const msPerStep = median(times)
  const gflops = step.flops / msPerStep / 1e6
  const ceilingGflops = ceiling.gflops()
  return {
    config: job.config,
    msPerStep,
    minMsPerStep: Math.min(...times),
    tokensPerSecond: (step.tokens / msPerStep) * 1000,
    gflops,
    ceilingGflops,
    mfu: gflops / ceilingGflops,
    peakRssMb: peakMemoryMb(),
    ...(startMb && { growth: { startMb, endMb: residentMb() } }),
    backend: backend.kind,
    threads: backend.threads,
    parameters: step.parameters,
    firstLoss,
    lastLoss,
  }
}

/** What is timed. */
interface Timed {
  tokens: number
  parameters: number
  flops: number
  run(i: number): Promise<number>
}

function stepOf({ config, teachers }: BenchJob): Timed {
  if (config === 'R') return new RealStep('real', teachers)
  const configuration = configurations[config]
  const step = new ReferenceStep(configuration)
  return {
    tokens: configuration.batch * configuration.time,
    parameters: [...step.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    flops: stepFlops(configuration),
    run: (i) => step.run(i),
  }
}

function residentMb(): number {
  return process.memoryUsage.rss() / 2 ** 20
}
