import { badInput, type GridEstimate, type Run, type RunConfig, type StoredGrid } from '#contract'
import { evictTeacherCache } from '../../files'
import { RunFolder } from '../../store'
import { libraryRows, type Context } from '../context'
import type { ExperimentService } from '../experiments'
import { resolveExperiment } from '../resolve'
import { blamingAxis, expandGrid, type ExpandedGrid, type PlannedCell } from './definition'
import { configDigest } from './digest'
import { autoCache, cacheKeys, estimateGrid } from './estimate'

export interface ResolvedCell extends PlannedCell {
  config: RunConfig
  digest: string
}

/** What a grid's cells are, which runs are theirs, and what they cost. */
export class GridCells {
  private readonly digests = new Map<string, string>()

  constructor(
    private readonly context: Context,
    private readonly experiments: ExperimentService,
  ) {}

  expand(definition: string, file?: string): ExpandedGrid {
    return expandGrid(definition, this.experiments.list(), file)
  }

  /** Every cell's configuration and digest; names that the library does not have are told as their axis'. */
  resolve({ cells }: ExpandedGrid, file?: string): ResolvedCell[] {
    const library = libraryRows(this.context)
    return cells.map((cell) => {
      const config = blamingAxis(cell.axes, file, () => resolveExperiment(cell.experiment, library))
      return { ...cell, config, digest: configDigest(config) }
    })
  }

  /** The run that computes what the digest says: a completed one if there is one. */
  runWith(digest: string): Run | undefined {
    const { runs } = this.context.catalogue.data
    const found = runs.filter((run) => run.kind === 'student' && this.digestOf(run) === digest)
    return found.find(({ status }) => status === 'completed') ?? found.at(-1)
  }

  runsOf(row: StoredGrid): Run[] {
    const ids = new Set(row.cells.map(({ run }) => run))
    return this.context.catalogue.data.runs.filter(({ id }) => ids.has(id))
  }

  estimate(configs: readonly RunConfig[]): GridEstimate {
    if (!configs.length) throw badInput('there are no cells')
    const done = configs.filter((config) => this.runWith(configDigest(config))?.status === 'completed').length
    return { ...estimateGrid(configs, this.experiments.measured(), this.cacheFor(configs)), done }
  }

  /** Makes room in the teacher-output cache before new passes; what these cells and the active runs read stays. */
  evict(configs: readonly RunConfig[]): void {
    const { dataDir, catalogue } = this.context
    const { runs, settings } = catalogue.data
    const active = runs
      .filter(({ status }) => ['queued', 'running', 'paused'].includes(status))
      .flatMap(({ id }) => new RunFolder(dataDir, id).config() ?? [])
    const keys = new Set([...configs, ...active].flatMap(cacheKeys))
    const limit = { bytes: settings.cacheGb * 2 ** 30, days: settings.cacheDays }
    evictTeacherCache(dataDir, limit, (key) => keys.has(key))
  }

  cacheFor(configs: readonly RunConfig[]): Run['autoCache'] {
    const { dataDir, catalogue } = this.context
    return autoCache(configs, dataDir, catalogue.data.settings.cacheGb * 2 ** 30)
  }

  /** Told from its configuration as this version reads it, so that a setting added since has its default in it. */
  private digestOf({ id }: Run): string | undefined {
    const known = this.digests.get(id)
    if (known !== undefined) return known
    const config = new RunFolder(this.context.dataDir, id).config()
    if (config) this.digests.set(id, configDigest(config))
    return this.digests.get(id)
  }
}
