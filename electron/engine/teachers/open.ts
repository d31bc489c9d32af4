import { setTimeout as sleep } from 'node:timers/promises'
import {
  alignableLayers,
  int8Words,
  learnsFromTeachers,
  readsCache,
  type AlignmentSetting,
  type RunConfig,
  type ServerHealth,
  type Teacher,
  type TeacherOutputs,
} from '#contract'
import {
  calibrationPlan,
  heldOutPlan,
  keptOf,
  runBytes,
  sha256,
  trainingPlan,
  type StoredMode,
} from '../../files'
import type { BatchPlan } from '../data/batchPlan'
import { layerPairs } from '../distill/features'
import { CALIBRATION_SPLIT } from '../evaluate/calibrationText'
import type { WindowBatch } from '../evaluate/windows'
import type { CachedSplit } from './cache/answers'
import { CachedTeacher } from './cache/cached'
import { Disk } from './cache/disk'
import { checkContext, openLiveTeacher, openTeacherHead } from './live'
import type { TeacherSource } from './source'

export interface TeacherReadings {
  plan: BatchPlan
  /** Of runs that read the same batches. */
  sharedAlignments: readonly AlignmentSetting[]
  /** Held-out windows by corpus id; the digest is the corpus'. */
  heldOut: readonly { id: string; name: string; digest: string; windows: readonly WindowBatch[] }[]
  /** Calibration windows over all corpora; none where nobody looks at the teachers before the first step. */
  calibration: readonly WindowBatch[]
}

export interface Filling {
  /** Waits out a pause; false when the run is to stop. */
  proceed(): Promise<boolean>
  progress(phase: string, fraction: number): void
  /** After every teacher, and while one is at work. */
  tell(outputs: TeacherOutputs[]): void
}

/** How often a run looks whether another one has finished writing what it needs. */
const LOOK_MS = 200
const TELL_MS = 1000

/** A run's teachers, live or from the cache. Their outputs are shared with every run that reads the same batches. */
export class RunTeachers {
  private constructor(
    readonly sources: readonly TeacherSource[],
    private readonly config: RunConfig,
    private readonly disk: Disk,
    private readonly warnings: { hear(message: string): void },
  ) {}

  /**
   * @param warn hears what a person ought to know of them
   * @throws bad-input when a teacher's context is too short
   */
  static async open(
    dataDir: string,
    config: RunConfig,
    mode: StoredMode | 'off',
    readings: TeacherReadings,
    warn: (message: string) => void,
  ): Promise<RunTeachers> {
    const { context, batch } = config.experiment.train
    const sources: TeacherSource[] = []
    const disk = new Disk()
    const warnings = { hear: warn }
    for (const row of config.teachers) {
      checkContext(row, context)
      const asked = [...ownLayers(config, row), ...sharedLayers(readings, row)]
      const openLive = () => openLiveTeacher(dataDir, row, context, asked)
      const { tau } = config.experiment.loss
      const served = row.model.family === 'served'
      if (served && tau !== 1) warn(restAt(tau, row))
      if (row.precision === 'int8') warn(`teacher "${row.name}": ${int8Words(row.int8)}`)
      // What a server has answered is never asked for again.
      if (!served && (mode === 'off' || !readsCache(config.experiment, mode))) {
        sources.push(await openLive())
        continue
      }
      const splits = cachedSplits(config, row, mode === 'off' ? 'top-k' : mode, readings)
      sources.push(
        new CachedTeacher({
          ...{ dataDir, row, splits, disk, context, tau, openLive },
          openHead: () => openTeacherHead(dataDir, row),
          tokens: batch * context,
          reader: config.id,
          reserve: runBytes(config),
          warn: (message) => warnings.hear(message),
        }),
      )
    }
    return new RunTeachers(sources, config, disk, warnings)
  }

  /** From here on `listener` hears what a person ought to know of them. */
  warnInto(listener: (message: string) => void): void {
    this.warnings.hear = listener
  }

  /** Ends the thread that reads the cache: no teacher can be asked for a batch of it any more. */
  async close(): Promise<void> {
    await this.disk.close()
  }

  /** Sees to it that everything is in the cache; of several runs one writes and the others wait for it. */
  async fill({ proceed, progress, tell }: Filling): Promise<void> {
    let waiting = this.cached
    let told = 0
    while (waiting.length && (await proceed())) {
      const locked: CachedTeacher[] = []
      for (const source of waiting) {
        const whole = await source.fill(proceed, (fraction) => {
          progress(`outputs of teacher ${source.row.name}`, fraction)
          if (performance.now() - told < TELL_MS) return
          told = performance.now()
          tell(this.outputs())
        })
        if (!whole) locked.push(source)
        tell(this.outputs())
      }
      if (locked.length) {
        progress(`waiting for the outputs of teacher ${locked[0]!.row.name}`, 0)
        await sleep(LOOK_MS)
      }
      waiting = locked
    }
  }

  /** What the teachers' outputs cost this process so far. */
  outputs(): TeacherOutputs[] {
    const { steps, batch, context } = this.config.experiment.train
    return this.sources.map((source) => {
      const teacher = source.row.id
      const { key } = trainingPlan(this.config, source.row)
      if (source instanceof CachedTeacher)
        return { teacher, key, ...source.tokens, seconds: source.seconds, secondsSaved: source.secondsSaved }
      // Nobody else reads what a live teacher says: its pass is this run's own.
      const own = sha256(`${key}/${this.config.id}`)
      return { teacher, key: own, computed: steps * batch * context, reused: 0, seconds: 0, secondsSaved: 0 }
    })
  }

  /** How the servers do that were asked. */
  servers(): ServerHealth[] {
    return this.sources.flatMap((source) => source.server?.() ?? [])
  }

  private get cached(): CachedTeacher[] {
    return this.sources.filter((source) => source instanceof CachedTeacher)
  }
}

/** What is said of it at temperature 1 is not what it would say at another. */
function restAt(tau: number, { name }: Teacher): string {
  return `teacher "${name}" is behind a server, which tells its likeliest tokens at temperature 1: at loss.tau ${tau} the others count as if they were alike, more than they would`
}

function cachedSplits(
  config: RunConfig,
  row: Teacher,
  mode: StoredMode,
  readings: TeacherReadings,
): Map<string, CachedSplit> {
  const { plan, heldOut, calibration } = readings
  const { key, batches } = trainingPlan(config, row)
  const training: CachedSplit = {
    key,
    corpora: config.corpora.map((corpus) => corpus.row.name),
    count: batches,
    at: (batch) => plan.at(batch + 1),
    coding: keptOf(config, row, mode),
    layers: ownLayers(config, row),
    sharedLayers: sharedLayers(readings, row),
  }
  const splits = new Map<string, CachedSplit>()
  if (learnsFromTeachers(config.experiment)) splits.set('train', training)
  const whole = (
    { key }: { key: string },
    corpora: string[],
    windows: readonly WindowBatch[],
  ): CachedSplit => ({
    key,
    corpora,
    count: windows.length,
    at: (batch) => windows[batch]!,
    coding: keptOf(config, row, mode, true),
    layers: [],
    sharedLayers: [],
  })
  for (const { id, name, digest, windows } of heldOut)
    splits.set(id, whole(heldOutPlan(config, row, digest), [name], windows))
  const before = calibrationPlan(config, row)
  if (calibration.length) {
    const all = config.corpora.map((corpus) => corpus.row.name)
    splits.set(CALIBRATION_SPLIT, whole(before, all, calibration))
  }
  return splits
}

/** The teacher's layers that feature alignment looks at. */
function ownLayers({ experiment, student }: RunConfig, teacher: Teacher): number[] {
  const { features } = experiment.loss
  return features === false || features.gamma === 0 ? [] : alignedLayers({ features, student }, teacher)
}

function sharedLayers({ sharedAlignments }: TeacherReadings, row: Teacher): number[] {
  return sharedAlignments.flatMap((setting) => alignedLayers(setting, row))
}

function alignedLayers({ features, student }: AlignmentSetting, teacher: Teacher): number[] {
  const pairs = layerPairs(features, student, alignableLayers(teacher, features))
  return [...new Set(pairs.map((pair) => pair.teacher))]
}
