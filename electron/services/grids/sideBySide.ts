import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { failed, toErrorShape, type Run, type RunConfig } from '#contract'
import { writeJsonAtomic } from '../../files'
import { paths } from '../../store'
import { threadsOf, type Context } from '../context'
import { allTeachers } from '../library'
import { performJob } from '../jobs'
import { memoryLimit, peakMemory } from '../memory'

/** Steps of a trial at least; the first of them compile and find their memory, and are not counted. */
const STEPS = 12
const WARM_UP = 3
/** Milliseconds that a trial should take, or two that start at about the same time may miss each other; and its most steps. */
const LONG_ENOUGH = 2500
const MOST_STEPS = 400
/** What two at once must gain over one after the other to be worth twice the memory. */
const GAIN = 1.05

/** Tokens a second: of a run that has the machine to itself, and of two at once together. */
export interface Speeds {
  alone: number
  together: number
}

export interface JobsChoice {
  jobs: 1 | 2
  /** In a sentence, for who asked. */
  why: string
}

/** Measures the configuration's speeds on this machine. */
type Measure = (
  context: Context,
  config: RunConfig,
  autoCache: Run['autoCache'],
  signal?: AbortSignal,
) => Promise<Speeds>

const measured = z.record(z.string(), z.object({ alone: z.number(), together: z.number() }))

/**
 * How many runs are best computed side by side: one with all threads, or two with half of them each. Small models may leave
 * cores idle between their operations, large ones do not; where the border lies depends on the machine, so it is
 * measured once for each size of run and remembered in the data directory.
 */
export class SideBySide {
  constructor(
    private readonly context: Context,
    private readonly measure: Measure = measureSpeeds,
  ) {}

  /** The choice that needs no measuring: two would not fit, or a run of this size was measured before. */
  known(config: RunConfig, autoCache: Run['autoCache']): JobsChoice | undefined {
    if (availableParallelism() < 2) return { jobs: 1, why: 'there is one core' }
    const needed = 2 * peakMemory(config)
    const limit = memoryLimit(this.context.catalogue.data.settings.memoryGb)
    if (needed > limit)
      return { jobs: 1, why: `two at once would need about ${needed} MB of memory, ${limit} MB can be had` }
    const speeds = this.read()[this.sizeOf(config, autoCache)]
    return speeds && choiceOf(speeds)
  }

  /** Measures where nothing is known; a trial that fails leaves it at one, and is not remembered. */
  async choose(config: RunConfig, autoCache: Run['autoCache'], signal?: AbortSignal): Promise<JobsChoice> {
    const known = this.known(config, autoCache)
    if (known) return known
    try {
      const speeds = await this.measure(this.context, config, autoCache, signal)
      const all = { ...this.read(), [this.sizeOf(config, autoCache)]: speeds }
      writeJsonAtomic(paths.sideBySide(this.context.dataDir), all)
      return choiceOf(speeds)
    } catch (error) {
      if (signal?.aborted) throw error
      return { jobs: 1, why: `the trial failed: ${toErrorShape(error).message}` }
    }
  }

  /** What its speed depends on. */
  private sizeOf(config: RunConfig, autoCache: Run['autoCache']): string {
    const { student, experiment } = config
    const { batch, context, accumulate, checkpointing } = experiment.train
    const { family, vocab, width, layers, heads, hidden } = student
    const cache = experiment.cache.mode === 'auto' ? autoCache : experiment.cache.mode
    const teachers = allTeachers(config).map(({ parameters }) => parameters)
    const machine = [availableParallelism(), this.context.catalogue.data.settings.threads]
    const backend = experiment.backend === 'auto' ? this.context.backend?.() : experiment.backend
    return [
      `${family} ${vocab} x ${width} x ${layers}, ${heads} heads, ${hidden} hidden`,
      `${batch} x ${context} tokens by ${accumulate}, checkpointing ${String(checkpointing)}`,
      `teachers of ${teachers.join('+') || 0}, cache ${cache}`,
      `${backend ?? 'auto'} on ${machine.join('/')}`,
    ].join('; ')
  }

  /** What cannot be read is measured anew. */
  private read(): z.output<typeof measured> {
    const path = paths.sideBySide(this.context.dataDir)
    if (!existsSync(path)) return {}
    try {
      return measured.parse(JSON.parse(readFileSync(path, 'utf8')))
    } catch {
      return {}
    }
  }
}

function choiceOf({ alone, together }: Speeds): JobsChoice {
  const jobs = together > GAIN * alone ? 2 : 1
  const [a, b] = [alone, together].map(Math.round)
  return { jobs, why: `measured: ${a} tokens/s by one at a time, ${b} by two at once` }
}

/** Short runs of the configuration in a data directory of their own, which is removed: one alone, then two at once. */
async function measureSpeeds(
  context: Context,
  config: RunConfig,
  autoCache: Run['autoCache'],
  signal?: AbortSignal,
): Promise<Speeds> {
  const dataDir = mkdtempSync(join(context.dataDir, 'trial-'))
  try {
    mirror(context.dataDir, dataDir, config)
    const trial = (id: string, jobs: number, steps: number) => {
      const own = { ...context, dataDir, threads: () => threadsOf({ ...context, jobs }) }
      return timesOf(own, { ...shortened(config, steps), id }, steps, autoCache, signal)
    }
    // The last one alone writes the teachers' outputs that the others read.
    let alone = await trial('first', 1, STEPS)
    const steps = longEnough(alone)
    if (steps > STEPS) alone = await trial('longer', 1, steps)
    const both = await Promise.all([trial('left', 2, steps), trial('right', 2, steps)])
    const together = paceOf(both)
    if (!together) throw failed('the two runs of it were not at work at the same time')
    return { alone: paceOf([alone]), together }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** What a run reads, by links; what it writes becomes the mirror's own. */
function mirror(from: string, to: string, { continues }: RunConfig): void {
  const earlier = continues ? [join('runs', continues.run)] : []
  for (const folder of ['library', join('cache', 'tokens'), ...earlier]) {
    if (!existsSync(join(from, folder))) continue
    mkdirSync(join(to, folder, '..'), { recursive: true })
    symlinkSync(join(from, folder), join(to, folder), 'junction')
  }
}

/** Steps of a trial that takes its time, from those of a short one. */
function longEnough(short: readonly TimedStep[]): number {
  const counted = short.slice(WARM_UP - 1)
  const each = (counted.at(-1)!.at - counted[0]!.at) / (counted.length - 1)
  return Math.max(STEPS, Math.min(MOST_STEPS, WARM_UP + Math.ceil(LONG_ENOUGH / each)))
}

/** One step longer than the trial: its last evaluation is never reached. */
function shortened(config: RunConfig, steps: number): RunConfig {
  const { experiment } = config
  const { train, evaluate, checkpoint } = experiment
  return {
    ...config,
    experiment: {
      ...experiment,
      train: { ...train, steps: steps + 1 },
      evaluate: { ...evaluate, every: 0 },
      checkpoint: { ...checkpoint, every: 0 },
    },
  }
}

interface TimedStep {
  at: number
  tokensPerSecond: number
}

async function timesOf(
  context: Context,
  config: RunConfig,
  until: number,
  autoCache: Run['autoCache'],
  signal?: AbortSignal,
): Promise<TimedStep[]> {
  const steps: TimedStep[] = []
  await performJob(
    context,
    { kind: 'run', config, resume: false, autoCache, until },
    {
      signal,
      onEvent: (event) => {
        if (event.type === 'step')
          steps.push({ at: performance.now(), tokensPerSecond: event.record.tokensPerSecond })
      },
    },
  )
  return steps
}

/** Tokens a second of runs together, while all of them were past their warm-up and none had ended; 0 if never. */
export function paceOf(runs: readonly (readonly TimedStep[])[]): number {
  const from = Math.max(...runs.map((steps) => steps[WARM_UP - 1]?.at ?? Infinity))
  const to = Math.min(...runs.map((steps) => steps.at(-1)?.at ?? -Infinity))
  const paces = runs.map((steps) => {
    const counted = steps.filter(({ at }) => at > from && at <= to).map((step) => step.tokensPerSecond)
    return counted.sort((a, b) => a - b)[Math.floor(counted.length / 2)]
  })
  return paces.includes(undefined) ? 0 : paces.reduce<number>((sum, pace) => sum + pace!, 0)
}
