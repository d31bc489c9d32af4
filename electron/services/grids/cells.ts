import { badInput, type GridEstimate, type Run, type RunConfig, type StoredGrid } from '#contract'
import { RunFolder } from '../../store'
import { autoCache } from '../library'
import { concurrencyOf, libraryRows, type Context } from '../context'
import { type ExperimentService, resolveExperiment } from '../experiments'
import { checkMemory, largestOf } from '../memory'
import { blamingAxis, expandGrid, type ExpandedGrid, type PlannedCell } from './definition'
import { configDigest } from './digest'
import { estimateGrid } from './estimate'

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

  /** @throws bad-input when there are no cells */
  estimate(cells: readonly ResolvedCell[]): GridEstimate {
    if (!cells.length) throw badInput('there are no cells')
    const planned = cells.map((cell) => ({ ...cell, run: this.runWith(cell.digest) }))
    return estimateGrid(planned, {
      measured: this.experiments.measured(),
      cache: this.cacheFor(cells.map(({ config }) => config)),
      jobs: concurrencyOf(this.context),
      memoryLimit: this.experiments.memoryLimit(),
    })
  }

  /** @throws bad-input when the largest cell that is not done needs more memory than may be had */
  checkMemory(cells: readonly ResolvedCell[], file?: string): void {
    const left = cells.filter(({ digest }) => this.runWith(digest)?.status !== 'completed')
    const largest = largestOf(left)
    if (!largest) return
    const { axes, config } = largest
    const limit = this.experiments.memoryLimit()
    const what = `the cell "${config.name}"`
    blamingAxis(axes, file, () => checkMemory(config, limit, { what }))
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
