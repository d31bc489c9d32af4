import type { GridEstimate, Run, RunConfig } from '#contract'
import { estimateRun } from '../estimate'
import { configDigest } from './digest'

/** What a grid's cells will cost together; cells that agree in what they compute are one run. */
export function estimateGrid(
  configs: readonly RunConfig[],
  measured: readonly { config: RunConfig; row: Run }[],
): Omit<GridEstimate, 'done'> {
  const distinct = [...new Map(configs.map((config) => [configDigest(config), config])).values()]
  const each = distinct.map((config) => estimateRun(config, measured))
  const seconds = each.map((one) => one.seconds)
  const known = seconds.every((value) => value !== undefined)
  const total = known ? seconds.reduce((sum, value) => sum + value, 0) : undefined
  const passes = distinct.reduce((sum, { teachers }) => sum + teachers.length, 0)
  return {
    cells: configs.length,
    teacherPasses: passes,
    teacherPassesWithoutCache: passes,
    cacheMb: 0,
    secondsPerCell: total === undefined ? undefined : total / distinct.length,
    seconds: total,
    memoryMb: Math.max(...each.map(({ memoryMb }) => memoryMb)),
    diskMb: each.reduce((sum, { diskMb }) => sum + diskMb, 0),
  }
}
