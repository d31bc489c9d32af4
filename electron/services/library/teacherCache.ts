import type { CacheCleared, CacheEntry, Run, RunConfig } from '#contract'
import { evictTeacherCache, listTeacherCache, removeTeacherCache } from '../../files'
import { RunFolder } from '../../store'
import { cacheKeys, sharedPasses } from './cachePlan'
import type { Context } from '../context'

type CacheContext = Pick<Context, 'dataDir' | 'catalogue'>

/** The teacher-output cache as a person sees it: what lies in it, what of it may go, and the room for what comes. */
export class TeacherCache {
  constructor(private readonly context: CacheContext) {}

  /** The longest unused first. */
  list(): CacheEntry[] {
    const inUse = this.keysInUse()
    return listTeacherCache(this.context.dataDir).flatMap(({ key, bytes, about, readers, usedAt }) => {
      if (!about) return []
      const used = new Date(usedAt).toISOString()
      const { teacher, corpora, createdAt = used } = about
      const split = splitOf(about.split)
      const row = { key, teacher, corpora, split, bytes, hits: readers, createdAt, usedAt: used }
      return [{ ...row, inUse: inUse.has(key) }]
    })
  }

  /** Removes those of the keys, by default all, that no waiting or running run reads. */
  clear(keys?: readonly string[]): CacheCleared {
    const inUse = this.keysInUse()
    const { dataDir } = this.context
    const wanted = listTeacherCache(dataDir).filter(({ key }) => keys === undefined || keys.includes(key))
    const free = wanted.filter(({ key }) => !inUse.has(key))
    for (const { key } of free) removeTeacherCache(dataDir, key)
    const bytes = free.reduce((sum, entry) => sum + entry.bytes, 0)
    return { removed: free.length, bytes, inUse: wanted.length - free.length }
  }

  /**
   * Makes room before runs write to the cache: what is too old goes, and then the longest unused until what they are
   * going to write fits under the limit. What they and the active runs read stays.
   */
  makeRoom(runs: readonly { config: RunConfig; autoCache: Run['autoCache'] }[]): void {
    const { dataDir, catalogue } = this.context
    const { cacheGb, cacheDays } = catalogue.data.settings
    const writers = runs.filter(
      ({ config, autoCache }) => config.teachers.length > 0 && modeOf(config, autoCache) !== 'off',
    )
    const keys = new Set([...this.keysInUse(), ...writers.flatMap(({ config }) => cacheKeys(config))])
    const there = new Map(listTeacherCache(dataDir).map(({ key, bytes }) => [key, bytes]))
    const entries = writers.flatMap(({ config, autoCache }) => [
      ...sharedPasses([config], autoCache === 'off' ? undefined : autoCache).entries,
    ])
    const wanted = new Map<string, number>()
    for (const [key, bytes] of entries) wanted.set(key, Math.max(bytes, wanted.get(key) ?? 0))
    const coming = [...wanted].reduce(
      (sum, [key, bytes]) => sum + Math.max(0, bytes - (there.get(key) ?? 0)),
      0,
    )
    const bytes = Math.max(0, cacheGb * 2 ** 30 - coming)
    evictTeacherCache(dataDir, { bytes, days: cacheDays }, (key) => keys.has(key))
  }

  private keysInUse(): Set<string> {
    const { dataDir, catalogue } = this.context
    const active = catalogue.data.runs
      .filter(({ status }) => ['queued', 'running', 'paused'].includes(status))
      .flatMap(({ id }) => new RunFolder(dataDir, id).config() ?? [])
    return new Set(active.flatMap(cacheKeys))
  }
}

/** How a run keeps its teachers' outputs. */
export function modeOf({ experiment }: RunConfig, autoCache: Run['autoCache']) {
  const { mode } = experiment.cache
  return mode === 'auto' ? autoCache : mode
}

/** Held-out windows go by the id of their corpus. */
function splitOf(name: string): CacheEntry['split'] {
  return name === 'train' || name === 'calibration' ? name : 'held-out'
}
