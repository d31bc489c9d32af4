import { statfsSync } from 'node:fs'
import type { GridEstimate, Run, RunConfig } from '#contract'
import { cacheBytes, heldOutPlan, trainingPlan } from '../../files'
import { estimateRun } from '../estimate'
import { configDigest } from './digest'

const MB = 2 ** 20
/** Share of the free disk that a cache may take. */
const SHARE = 0.5

export interface SharedPasses {
  /** Teacher passes with the cache, and those that every cell would make for itself. */
  passes: number
  alone: number
  /** What the cache will take, whole. */
  bytes: number
}

/** The teacher passes that a grid's cells can share: one for each teacher and plan of batches. */
export function sharedPasses(configs: readonly RunConfig[]): SharedPasses {
  const passes = new Map<string, number>()
  const heldOut = new Map<string, number>()
  let alone = 0
  for (const config of configs) {
    const { features } = config.experiment.loss
    const layers = features === false || features.gamma === 0 ? 0 : 1
    for (const teacher of config.teachers) {
      alone++
      const bytes = cacheBytes(config, teacher, 'exact', layers)
      const { key } = trainingPlan(config, teacher)
      passes.set(key, Math.max(passes.get(key) ?? 0, bytes.training))
      for (const { row } of config.corpora)
        heldOut.set(heldOutPlan(config, teacher, row.digest).key, bytes.heldOut / config.corpora.length)
    }
  }
  const bytes = [...passes.values(), ...heldOut.values()].reduce((a, b) => a + b, 0)
  return { passes: passes.size, alone, bytes }
}

/** The keys of all that a run reads from the teacher-output cache. */
export function cacheKeys(config: RunConfig): string[] {
  return config.teachers.flatMap((teacher) => [
    trainingPlan(config, teacher).key,
    ...config.corpora.map(({ row }) => heldOutPlan(config, teacher, row.digest).key),
  ])
}

/** `auto`: exact where a pass is shared at all and its outputs fit on the disk and under the limit. */
export function autoCache(
  configs: readonly RunConfig[],
  dataDir: string,
  limitBytes: number,
): Run['autoCache'] {
  const { passes, alone, bytes } = sharedPasses(configs)
  if (passes === alone) return 'off'
  const { bavail, bsize } = statfsSync(dataDir)
  return bytes <= Math.min(limitBytes, bavail * bsize * SHARE) ? 'exact' : 'off'
}

/** What a grid's cells will cost together; cells that agree in what they compute are one run. */
export function estimateGrid(
  configs: readonly RunConfig[],
  measured: readonly { config: RunConfig; row: Run }[],
  cache: Run['autoCache'],
): Omit<GridEstimate, 'done'> {
  const distinct = [...new Map(configs.map((config) => [configDigest(config), config])).values()]
  const each = distinct.map((config) => estimateRun(config, measured))
  const seconds = each.map((one) => one.seconds)
  const known = seconds.every((value) => value !== undefined)
  const total = known ? seconds.reduce((sum, value) => sum + value, 0) : undefined
  const { passes, alone, bytes } = sharedPasses(distinct)
  const cacheMb = cache === 'exact' ? Math.ceil(bytes / MB) : 0
  return {
    cells: configs.length,
    teacherPasses: cache === 'exact' ? passes : alone,
    teacherPassesWithoutCache: alone,
    cacheMb,
    secondsPerCell: total === undefined ? undefined : total / distinct.length,
    seconds: total,
    memoryMb: Math.max(...each.map(({ memoryMb }) => memoryMb)),
    diskMb: each.reduce((sum, { diskMb }) => sum + diskMb, cacheMb),
  }
}
