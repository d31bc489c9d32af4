import { statfsSync } from 'node:fs'
import { readDigest, writes, type AlignmentSetting, type Run, type RunConfig } from '#contract'
import { cacheBytes, calibrationPlan, heldOutPlan, trainingPlan, type StoredMode } from '../../files'

/** Share of the free disk that a cache may take. */
const SHARE = 0.5

export interface SharedPasses {
  /** Teacher passes with the cache, and those that every run would make for itself. */
  passes: number
  alone: number
  /** What the cache will take, whole, in bytes. */
  bytes: number
  /** Of a token of the training batches and a teacher, in the mean. */
  bytesPerToken: number
  /** The same by entry. */
  entries: ReadonlyMap<string, number>
}

/**
 * The teacher passes that runs can share: one for each teacher and plan of batches.
 *
 * @param autoCache what `cache.mode: auto` is for them
 */
export function sharedPasses(
  configs: readonly RunConfig[],
  autoCache: Exclude<Run['autoCache'], 'off'> = 'exact',
): SharedPasses {
  const passes = new Set<string>()
  const entries = new Map<string, number>()
  /** Bytes of a token, of each plan of training batches. */
  const perToken = new Map<string, number>()
  let alone = 0
  let own = 0
  const keep = (key: string, bytes: number) => entries.set(key, Math.max(entries.get(key) ?? 0, bytes))
  for (const config of configs) {
    const { loss, cache } = config.experiment
    const layers = loss.features === false || loss.features.gamma === 0 ? 0 : 1
    const mode: StoredMode = cache.mode === 'auto' || cache.mode === 'off' ? autoCache : cache.mode
    // What teachers of other tokenizers say is not cached.
    own += config.foreign?.length ?? 0
    // Nor what they say of a text that no other run reads.
    if (writes(config.experiment.train)) {
      own += config.teachers.length
      continue
    }
    for (const teacher of config.teachers) {
      alone++
      const bytes = cacheBytes(config, teacher, mode, layers)
      const { key } = trainingPlan(config, teacher)
      passes.add(key)
      const { steps, batch, context } = config.experiment.train
      const each = bytes.training / (steps * batch * context)
      perToken.set(key, Math.max(perToken.get(key) ?? 0, each))
      keep(key, bytes.training)
      for (const corpus of config.corpora)
        keep(heldOutPlan(config, teacher, readDigest(corpus)).key, bytes.heldOut / config.corpora.length)
      keep(calibrationPlan(config, teacher).key, bytes.calibration)
    }
  }
  const bytes = sum(entries)
  return {
    passes: passes.size + own,
    alone: alone + own,
    bytes,
    bytesPerToken: sum(perToken) / (perToken.size || 1),
    entries,
  }
}

const sum = (values: ReadonlyMap<string, number>) => [...values.values()].reduce((a, b) => a + b, 0)

/** The different alignments among runs, for a teacher's pass to serve them all. */
export function alignmentsOf(configs: readonly RunConfig[]): AlignmentSetting[] {
  const settings = configs.flatMap(({ experiment, student }) => {
    const { features } = experiment.loss
    return features === false || features.gamma === 0 ? [] : [{ features, student }]
  })
  return distinctAlignments(settings)
}

export function distinctAlignments(settings: readonly AlignmentSetting[]): AlignmentSetting[] {
  return [...new Map(settings.map((setting) => [JSON.stringify(setting), setting])).values()]
}

/** The keys of all that a run reads from the teacher-output cache. */
export function cacheKeys(config: RunConfig): string[] {
  return config.teachers.flatMap((teacher) => [
    trainingPlan(config, teacher).key,
    calibrationPlan(config, teacher).key,
    ...config.corpora.map((corpus) => heldOutPlan(config, teacher, readDigest(corpus)).key),
  ])
}

/**
 * `auto`: where a pass is shared at all the smaller of states and exact, if it fits on the disk and under the limit. Both
 * change no loss.
 */
export function autoCache(
  configs: readonly RunConfig[],
  dataDir: string,
  limitBytes: number,
): Run['autoCache'] {
  const [states, exact] = [sharedPasses(configs, 'states'), sharedPasses(configs, 'exact')]
  if (exact.passes === exact.alone) return 'off'
  const smaller = states.bytes < exact.bytes ? 'states' : 'exact'
  const { bytes } = smaller === 'states' ? states : exact
  const { bavail, bsize } = statfsSync(dataDir)
  return bytes <= Math.min(limitBytes, bavail * bsize * SHARE) ? smaller : 'off'
}
