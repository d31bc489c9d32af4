import { hasLayers, parameterCount, type RunConfig } from '#contract'
import { startBackend } from '../../backend'
import type { LazyBackend } from '../../backend/lazyBackend'
import { tf } from '../../backend/tf'
import { peakMemoryMb } from '../../heap'
import { median } from '../models'
import { RealStep, type REAL } from '../real'
import { configurations, ReferenceStep, type Precision } from '../reference'
import { say } from './row'

/** Steps before the clock: the first compiles, the second takes inputs into the GPU's memory. */
const WARM_UP = 4

export interface Timing {
  precision: Precision
  device: string
  /** Timed steps at most, and seconds that they may take together. */
  steps: number
  seconds: number
}

/** The step of a configuration, its teachers' outputs given. */
export async function timeConfiguration(name: keyof typeof configurations, timing: Timing): Promise<void> {
  await startBackend('webgpu', { threads: 0 })
  const { batch, time } = configurations[name]
  const step = new ReferenceStep(configurations[name], timing.precision)
  await timed(name, batch * time, timing, (i) => step.run(i))
}

/** A whole step of a run, of a user's own size. */
export async function timeReal(name: keyof typeof REAL, timing: Timing): Promise<void> {
  await startBackend('webgpu', { threads: 0 })
  const step = new RealStep(name, 1, timing.precision)
  process.stdout.write(`weights of ${count(step.config)} parameters\n`)
  await timed(name, step.tokens, timing, (i) => step.run(i))
}

function count({ student, teachers }: RunConfig): string {
  return [student, ...teachers.map(({ model }) => model)]
    .map((model) => (hasLayers(model) ? parameterCount(model) : 0).toLocaleString('en-US'))
    .join(' and ')
}

/** @param run does step i, from 1, and resolves to its loss */
async function timed(
  what: string,
  tokens: number,
  { precision, device, steps, seconds }: Timing,
  run: (i: number) => Promise<number>,
): Promise<void> {
  const { statistics } = tf.backend() as unknown as LazyBackend
  const times: number[] = []
  const began = performance.now()
  let [first, last] = [NaN, NaN]
  let before = { ...statistics }
  for (let i = 1; i <= WARM_UP + steps; i++) {
    if (i === WARM_UP + 1) before = { ...statistics }
    const started = performance.now()
    last = await run(i)
    const ms = performance.now() - started
    if (i === 1) first = last
    if (i <= WARM_UP) process.stdout.write(`step ${i}: ${Math.round(ms)} ms, loss ${last.toFixed(4)}\n`)
    else times.push(ms)
    const spent = times.reduce((a, b) => a + b, 0)
    if (times.length && spent > seconds * 1000) break
  }
  const msPerStep = median(times)
  const ready = statistics.compileMs / 1000
  const running = (statistics.runMs - before.runMs) / times.length
  const note = [
    `${Math.round(running)} ms of a step in the runtime`,
    `${statistics.nodes} operators`,
    `compiled in ${ready.toFixed(1)} s`,
    `loss ${first.toFixed(3)} to ${last.toFixed(3)} (${times.length} steps timed)`,
  ].join(', ')
  const fastest = Math.min(...times)
  process.stdout.write(`all in ${Math.round((performance.now() - began) / 1000)} s, fastest ${fastest} ms\n`)
  const hostMb = peakMemoryMb()
  say({
    row: { what, device, precision, msPerStep, tokensPerSecond: (tokens * 1000) / msPerStep, hostMb, note },
  })
}
