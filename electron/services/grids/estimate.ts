import type { CellEstimate, Estimate, GridEstimate, Run, RunConfig } from '#contract'
import { trainingPlan } from '../../files'
import { sharedPasses } from '../library'
import { estimateRun, type MeasuredRun, passSeconds } from '../experiments'
import { largestOf, memoryAdvice } from '../memory'

const MB = 2 ** 20

/** A cell to be estimated: its run, if there is one. */
export interface PlannedRun {
  axes: Record<string, unknown>
  seed: number
  config: RunConfig
  digest: string
  run: Run | undefined
}

export interface GridPlan {
  measured: readonly MeasuredRun[]
  cache: Run['autoCache']
  /** Cells computed side by side. */
  jobs: number
  /** MB that a cell may have. */
  memoryLimit: number
}

/** What a grid's cells will cost together; cells that agree in what they compute are one run. */
export function estimateGrid(cells: readonly PlannedRun[], plan: GridPlan): GridEstimate {
  const distinct = [...new Map(cells.map((cell) => [cell.digest, cell])).values()]
  const costs = new Map(distinct.map((cell) => [cell.digest, costOf(cell, plan)]))
  const left = distinct.filter(({ run }) => run?.status !== 'completed')
  const cached = plan.cache !== 'off'
  const shared = sharedPasses(
    distinct.map(({ config }) => config),
    plan.cache === 'off' ? undefined : plan.cache,
  )
  const { passes, alone, bytes } = shared
  const cacheMb = cached && left.length ? Math.ceil(bytes / MB) : 0
  const each = cells.map((cell) => costs.get(cell.digest)!.cell(cell))
  const seconds = left.map(({ digest }) => costs.get(digest)!.seconds)
  const training = seconds.every((value) => value !== undefined)
    ? seconds.reduce((sum, value) => sum + value, 0)
    : undefined
  const writing = cached && training !== undefined ? fillingSeconds(left, plan) : 0
  const largest = largestOf(left)
  const memory = left.map(({ digest }) => costs.get(digest)!.memoryMb).sort((a, b) => b - a)
  return {
    cells: cells.length,
    done: cells.filter(({ run }) => run?.status === 'completed').length,
    teacherPasses: cached ? passes : alone,
    teacherPassesWithoutCache: alone,
    cacheMb,
    ...(cacheMb && { cacheBytesPerToken: Math.round(shared.bytesPerToken) }),
    secondsPerCell: training === undefined || !left.length ? undefined : training / left.length,
    seconds: training === undefined ? undefined : training / plan.jobs + writing,
    jobs: plan.jobs,
    memoryMb: memory.slice(0, plan.jobs).reduce((sum, value) => sum + value, 0),
    memoryAdvice: largest && memoryAdvice(largest.config, plan.memoryLimit),
    diskMb: left.reduce((sum, { digest }) => sum + costs.get(digest)!.diskMb, cacheMb),
    each,
  }
}

interface Cost extends Pick<Estimate, 'seconds' | 'memoryMb' | 'diskMb'> {
  cell(of: PlannedRun): CellEstimate
}

/** Of the steps that are left; with the cache its teachers cost a cell nothing. */
function costOf({ config, run }: PlannedRun, { measured, cache }: GridPlan): Cost {
  const done = run?.status === 'completed'
  const whole = estimateRun(config, measured, cache !== 'off')
  const share = done ? 0 : run ? 1 - run.step / run.steps : 1
  const seconds = whole.seconds === undefined ? undefined : whole.seconds * share
  const { memoryMb } = whole
  const diskMb = done ? 0 : whole.diskMb
  return {
    seconds,
    memoryMb,
    diskMb,
    cell: ({ axes, seed }) => ({ axes, seed, done, seconds, memoryMb, diskMb }),
  }
}

/** The shared passes' time: what the teachers add to the cells, once for each plan. */
function fillingSeconds(cells: readonly PlannedRun[], { measured }: GridPlan): number {
  const seen = new Set<string>()
  let seconds = 0
  for (const { config } of cells) {
    for (const teacher of config.teachers) {
      const { key } = trainingPlan(config, teacher)
      if (seen.has(key)) continue
      seen.add(key)
      seconds += passSeconds(config, teacher, measured)
    }
  }
  return seconds
}
