import {
  badInput,
  conflict,
  problemsOf,
  type GridEstimate,
  type GridRow,
  type ParsedParams,
  type Result,
  type StoredGrid,
} from '#contract'
import { checkFree, freeName, newId } from '../identity'
import { peakMemory } from '../memory'
import { SideBySide, type JobsChoice } from './sideBySide'
import { GridCells } from './cells'
import type { ExpandedGrid } from './definition'
import { presetGrid } from './presets'
import { GridRows } from './rows'
import { GridWork, type GridParts } from './work'

/** Grids: their definitions, and what starts, pauses and stops them. */
export class GridService {
  private readonly rows: GridRows
  private readonly cells: GridCells
  private readonly work: GridWork

  constructor(
    private readonly parts: GridParts,
    scope: 'all' | 'own',
  ) {
    this.rows = new GridRows(parts.context)
    this.cells = new GridCells(parts.context, parts.experiments)
    this.work = new GridWork(parts, this.rows, this.cells)
    if (scope === 'all') this.work.goOn()
  }

  list(): GridRow[] {
    return this.rows.all.map((row) => this.rows.view(row))
  }

  get(id: string): GridRow {
    return this.rows.view(this.rows.of(id))
  }

  save({ id, definition }: ParsedParams<'grids.save'>, file?: string): GridRow {
    const expanded = this.cells.expand(definition, file)
    const old = id === undefined ? undefined : this.rows.of(id)
    return this.rows.view(this.store(expanded, old, file))
  }

  check({ definition }: ParsedParams<'grids.check'>): Result<'grids.check'> {
    try {
      const expanded = this.cells.expand(definition)
      try {
        const estimate = this.cells.estimate(this.cells.resolve(expanded))
        return { problems: [], resolved: expanded.grid, estimate }
      } catch (error) {
        return { problems: problemsOf(error), resolved: expanded.grid }
      }
    } catch (error) {
      return { problems: problemsOf(error) }
    }
  }

  /** @param file where a definition is from */
  estimate(params: ParsedParams<'grids.estimate'>, file?: string): GridEstimate {
    const text = 'id' in params ? this.rows.of(params.id).definition : this.definitionOf(params)
    return this.cells.estimate(this.cells.resolve(this.cells.expand(text, file), file))
  }

  /**
   * How many of its cells are best computed side by side here, by the one that needs most.
   *
   * @param file where a definition is from
   * @param measure whether short runs may find out what is not known; else it is one
   */
  async chooseJobs(
    params: Exclude<ParsedParams<'grids.estimate'>, { id: string }>,
    file?: string,
    measure?: { signal: AbortSignal },
  ): Promise<JobsChoice> {
    const { context } = this.parts
    const cells = this.cells.resolve(this.cells.expand(this.definitionOf(params), file), file)
    const configs = cells.map(({ config }) => config)
    const config = configs.reduce((most, next) => (peakMemory(next) > peakMemory(most) ? next : most))
    const sideBySide = new SideBySide(context)
    const autoCache = this.cells.cacheFor(configs)
    if (measure) return sideBySide.choose(config, autoCache, measure.signal)
    return sideBySide.known(config, autoCache) ?? { jobs: 1, why: 'not measured yet' }
  }

  /** @param file where a definition is from, for messages and for its base's path */
  start(params: ParsedParams<'grids.start'>, file?: string): GridRow {
    const { cluster, force } = params
    // Looked up before anything is written.
    if (cluster !== undefined) this.parts.clusters.profiles.get(cluster)
    if ('id' in params) return this.resume(params.id, cluster, force)
    const expanded = this.cells.expand(this.definitionOf(params), file)
    this.checkSent(expanded, cluster, file)
    if (!force) this.checkMemory(expanded, cluster, file)
    const old = this.rows.all.find(({ name }) => name === expanded.grid.name)
    // A preset's grid is a new one, even if the name was given: it takes nobody's place.
    return this.begin(this.store(expanded, 'preset' in params ? undefined : old, file), cluster)
  }

  pause(id: string): GridRow {
    const row = this.rows.of(id)
    this.rows.require(row, ['running'], 'pause')
    if (row.cluster !== undefined)
      throw conflict(`grid "${row.name}" is on a cluster: stop it, and it goes on from its checkpoints`)
    this.rows.change(row, { status: 'paused' })
    const { queue } = this.parts
    queue.hold(row.id)
    for (const run of this.cells.runsOf(row)) if (run.status === 'running') queue.pause(run.id)
    return this.rows.view(row)
  }

  /** Goes on with a paused grid, or with what is unfinished of one that has ended. */
  resume(id: string, cluster?: string, force = false): GridRow {
    const row = this.rows.of(id)
    if (row.status !== 'paused') {
      const expanded = this.cells.expand(row.definition)
      const where = cluster ?? row.cluster
      this.checkSent(expanded, where)
      if (!force) this.checkMemory(expanded, where)
      return this.begin(this.store(expanded, row), where)
    }
    this.rows.change(row, { status: 'running' })
    const { queue } = this.parts
    queue.release(row.id)
    for (const run of this.cells.runsOf(row)) if (run.status === 'paused') queue.continue(run.id)
    return this.rows.view(row)
  }

  stop(id: string): GridRow {
    const row = this.rows.of(id)
    this.rows.require(row, ['running', 'paused'], 'stop')
    this.rows.change(row, { status: 'stopped' })
    this.work.stop(row)
    return this.rows.view(row)
  }

  /** Resolves when the grid works no longer, however it ended. */
  async finished(id: string): Promise<GridRow> {
    for (;;) {
      const row = this.rows.of(id)
      if (row.status !== 'running' && row.status !== 'paused') return this.rows.view(row)
      await this.work.someEnd()
    }
  }

  close(): void {
    this.work.close()
    this.rows.close()
  }

  private definitionOf(params: Exclude<ParsedParams<'grids.estimate'>, { id: string }>): string {
    if ('definition' in params) return params.definition
    const { preset, experiment, name, seeds, halving } = params
    const base = this.parts.experiments.get(experiment)
    const made = name ?? freeName(this.rows.all, `${base.name} ${preset}`.slice(0, 100))
    return presetGrid(preset, base, { name: made, seeds, halving })
  }

  /** A cluster's nodes have memory of their own. */
  private checkMemory(expanded: ExpandedGrid, cluster?: string, file?: string): void {
    if (cluster === undefined) this.cells.checkMemory(this.cells.resolve(expanded, file), file)
  }

  /** Where a cluster has a data directory of its own, what its cells read is sent there: folders of this one alone. */
  private checkSent(expanded: ExpandedGrid, cluster?: string, file?: string): void {
    if (cluster === undefined || this.parts.clusters.profiles.get(cluster).transfer === 'shared') return
    for (const { config } of this.cells.resolve(expanded, file)) {
      const { corpora, teachers, foreign = [], origin, continues } = config
      const read = [...teachers, ...foreign.map(({ row }) => row), ...(origin ? [origin] : [])]
      const rows = this.parts.context.catalogue.data.teachers
      const teacher = rows.find(({ id, reference }) => reference && read.some((one) => one.id === id))
      const texts = [...corpora.map(({ row }) => row), ...(continues?.corpora ?? [])]
      const corpus = texts.find(({ reference }) => reference)
      for (const [noun, row] of [['teacher', teacher] as const, ['corpus', corpus] as const]) {
        if (!row) continue
        throw badInput(
          `${noun} "${row.name}" is kept by reference, and is not sent to cluster "${cluster}"`,
          {
            file,
            expected: `a ${noun} that was imported as a copy, or a profile with "transfer: shared"`,
          },
        )
      }
    }
  }

  private begin(row: StoredGrid, cluster?: string): GridRow {
    this.work.start(row, cluster)
    return this.rows.view(row)
  }

  /** Writes the row; cells find the runs that are theirs, of this grid or another. Nothing starts. */
  private store(expanded: ExpandedGrid, old?: StoredGrid, file?: string): StoredGrid {
    const { name } = expanded.grid
    if (old?.name !== name) checkFree('grid', this.rows.all, name)
    if (old && this.work.has(old.id)) throw conflict(`grid "${old.name}" is ${old.status}; stop it first`)
    const cells = this.cells.resolve(expanded, file).map(({ axes, seed, digest }) => ({
      axes,
      seed,
      digest,
      run: this.cells.runWith(digest)?.id,
    }))
    const now = new Date().toISOString()
    const row: StoredGrid = {
      id: old?.id ?? newId(name, this.rows.all),
      name,
      definition: expanded.definition,
      status: 'idle',
      axes: expanded.axes,
      seeds: expanded.grid.seeds,
      cells,
      seconds: old?.seconds ?? 0,
      passJob: old?.passJob,
      report: old?.report,
      createdAt: old?.createdAt ?? now,
      updatedAt: now,
    }
    this.rows.put(row, old)
    return row
  }
}
