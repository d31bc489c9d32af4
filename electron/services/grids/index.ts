import {
  badInput,
  conflict,
  toErrorShape,
  type GridEstimate,
  type GridRow,
  type ParsedParams,
  type Result,
  type Run,
  type RunConfig,
  type StoredGrid,
} from '#contract'
import { evictTeacherCache } from '../../files'
import { RunFolder } from '../../store'
import type { ClusterService } from '../clusters'
import { libraryRows, type Context } from '../context'
import type { ExperimentService } from '../experiments'
import { checkFree, find, freeName, newId } from '../identity'
import type { RunQueue } from '../queue'
import type { ReportService } from '../report'
import { resolveExperiment } from '../resolve'
import { blamingAxis, expandGrid, type ExpandedGrid } from './definition'
import { configDigest } from './digest'
import { autoCache, cacheKeys, estimateGrid } from './estimate'
import { presetGrid } from './presets'
import { gridView } from './view'

export interface GridParts {
  context: Context
  queue: RunQueue
  reports: ReportService
  experiments: ExperimentService
  clusters: ClusterService
}

/** How often a cell is started again when its worker crashes. */
const RETRIES = 3
/** A page is told of a grid at most this often while its cells train. */
const GATHER_MS = 500

/** Grids: their definitions, and what starts, follows and ends their cells. */
export class GridService {
  /** Grids that this process works on, and since when their time was last counted. */
  private readonly working = new Map<string, number>()
  private readonly digests = new Map<string, string>()
  private readonly told = new Map<string, NodeJS.Timeout>()
  private readonly waiters = new Set<() => void>()
  private readonly endListening: () => void

  constructor(
    private readonly parts: GridParts,
    scope: 'all' | 'own',
  ) {
    this.endListening = parts.context.pushes.onPush((_, push) => {
      if (push.topic === 'run') this.hear(push.run)
    })
    if (scope === 'all') this.goOn()
  }

  list(): GridRow[] {
    return this.stored.map((row) => this.view(row))
  }

  get(id: string): GridRow {
    return this.view(this.row(id))
  }

  save({ id, definition }: ParsedParams<'grids.save'>, file?: string): GridRow {
    const expanded = this.expand(definition, file)
    const old = id === undefined ? undefined : this.row(id)
    return this.view(this.store(expanded, old, file))
  }

  check({ definition }: ParsedParams<'grids.check'>): Result<'grids.check'> {
    try {
      const expanded = this.expand(definition)
      try {
        const estimate = this.estimateCells(this.resolve(expanded).map(({ config }) => config))
        return { problems: [], resolved: expanded.grid, estimate }
      } catch (error) {
        return { problems: [toErrorShape(error)], resolved: expanded.grid }
      }
    } catch (error) {
      return { problems: [toErrorShape(error)] }
    }
  }

  estimate(id: string): GridEstimate {
    return this.estimateCells(this.resolve(this.expand(this.row(id).definition)).map(({ config }) => config))
  }

  /** @param file where a definition is from, for messages and for its base's path */
  start(params: ParsedParams<'grids.start'>, file?: string): GridRow {
    const { cluster } = params
    // Looked up before anything is written.
    if (cluster !== undefined) this.parts.clusters.profiles.get(cluster)
    if ('id' in params) return this.resume(params.id, cluster)
    if ('preset' in params) {
      const { experiments } = this.parts
      const base = experiments.get(params.experiment)
      const text = presetGrid(params.preset, base, {
        name: params.name ?? freeName(this.stored, `${base.name} ${params.preset}`.slice(0, 100)),
        seeds: params.seeds,
      })
      return this.work(this.store(this.expand(text)), cluster)
    }
    const expanded = this.expand(params.definition, file)
    const old = this.stored.find(({ name }) => name === expanded.grid.name)
    return this.work(this.store(expanded, old, file), cluster)
  }

  pause(id: string): GridRow {
    const row = this.row(id)
    this.require(row, ['running'], 'pause')
    if (row.cluster !== undefined)
      throw conflict(`grid "${row.name}" is on a cluster: stop it, and it goes on from its checkpoints`)
    this.change(row, { status: 'paused' })
    this.parts.queue.hold(row.id)
    for (const run of this.runsOf(row)) if (run.status === 'running') this.parts.queue.pause(run.id)
    return this.view(row)
  }

  /** Goes on with a paused grid, or with what is unfinished of one that has ended. */
  resume(id: string, cluster?: string): GridRow {
    const row = this.row(id)
    if (row.status !== 'paused') {
      return this.work(this.store(this.expand(row.definition), row), cluster ?? row.cluster)
    }
    this.change(row, { status: 'running' })
    this.parts.queue.release(row.id)
    for (const run of this.runsOf(row)) if (run.status === 'paused') this.parts.queue.continue(run.id)
    return this.view(row)
  }

  stop(id: string): GridRow {
    const row = this.row(id)
    this.require(row, ['running', 'paused'], 'stop')
    this.change(row, { status: 'stopped' })
    this.working.delete(row.id)
    const active = this.runsOf(row).filter(({ status }) => ['queued', 'running', 'paused'].includes(status))
    const { queue, clusters } = this.parts
    for (const run of active) if (run.cluster === undefined) queue.stop(run.id)
    clusters
      .stop(active.flatMap((run) => (run.cluster === undefined ? [] : [run.id])))
      .catch((error: unknown) => this.change(row, { error: toErrorShape(error) }))
    this.parts.queue.release(row.id)
    this.wake()
    return this.view(row)
  }

  remove(id: string): void {
    const row = this.row(id)
    if (['running', 'paused'].includes(row.status)) {
      throw conflict(`grid "${row.name}" is ${row.status}; stop it before you remove it`)
    }
    const { catalogue, pushes } = this.parts.context
    catalogue.update((data) => (data.grids = data.grids.filter((other) => other !== row)))
    pushes.push({ topic: 'grid-removed', id: row.id })
  }

  /** Resolves when the grid works no longer, however it ended. */
  async finished(id: string): Promise<GridRow> {
    for (;;) {
      const row = this.row(id)
      if (row.status !== 'running' && row.status !== 'paused') return this.view(row)
      await new Promise<void>((resolve) => this.waiters.add(resolve))
    }
  }

  close(): void {
    this.endListening()
    for (const timer of this.told.values()) clearTimeout(timer)
  }

  private get stored(): StoredGrid[] {
    return this.parts.context.catalogue.data.grids
  }

  private row(id: string): StoredGrid {
    return find('grid', this.stored, id)
  }

  private expand(definition: string, file?: string): ExpandedGrid {
    return expandGrid(definition, this.parts.experiments.list(), file)
  }

  /** Every cell's configuration and digest; names that the library does not have are told as their axis'. */
  private resolve({ cells }: ExpandedGrid, file?: string) {
    const library = libraryRows(this.parts.context)
    return cells.map((cell) => {
      const config = blamingAxis(cell.axes, file, () => resolveExperiment(cell.experiment, library))
      return { ...cell, config, digest: configDigest(config) }
    })
  }

  /** Writes the row; cells find the runs that are theirs, of this grid or another. Nothing starts. */
  private store(expanded: ExpandedGrid, old?: StoredGrid, file?: string): StoredGrid {
    const { name } = expanded.grid
    if (old?.name !== name) checkFree('grid', this.stored, name)
    if (old && this.working.has(old.id)) throw conflict(`grid "${old.name}" is ${old.status}; stop it first`)
    const cells = this.resolve(expanded, file).map(({ axes, seed, digest }) => ({
      axes,
      seed,
      digest,
      run: this.runWith(digest)?.id,
    }))
    const now = new Date().toISOString()
    const row: StoredGrid = {
      id: old?.id ?? newId(name, this.stored),
      name,
      definition: expanded.definition,
      status: 'idle',
      axes: expanded.axes,
      seeds: expanded.grid.seeds,
      cells,
      seconds: old?.seconds ?? 0,
      report: old?.report,
      createdAt: old?.createdAt ?? now,
      updatedAt: now,
    }
    this.parts.context.catalogue.update((data) => {
      data.grids = [...data.grids.filter((other) => other !== old), row]
    })
    this.tell(row)
    return row
  }

  /** Queues what is not done, and follows it to its end. */
  private work(row: StoredGrid, cluster?: string): GridRow {
    const { queue, context, clusters } = this.parts
    this.working.set(row.id, Date.now())
    this.change(row, { status: 'running', error: undefined, cluster })
    // Held until all of it is queued: cells then start in the grid's order.
    queue.hold(row.id)
    const cells = this.resolve(this.expand(row.definition))
    this.evict(cells.map(({ config }) => config))
    const cache = this.cacheFor(cells.map(({ config }) => config))
    for (const [i, { config, digest }] of cells.entries()) {
      const run = this.runWith(digest)
      if (!run) {
        // A cluster's nodes compute their teachers anew: the cache is this machine's.
        const origin = {
          group: row.id,
          retries: RETRIES,
          cluster,
          autoCache: cluster === undefined ? cache : ('off' as const),
        }
        const { id } = queue.add(this.renamed(config), origin)
        this.digests.set(id, digest)
      } else if (run.status === 'queued') {
        if (cluster === undefined) queue.adopt(run.id)
        else queue.assign(run.id, cluster)
      } else if (run.status === 'failed' || run.status === 'stopped') queue.resume(run.id, cluster)
      const id = this.runWith(digest)!.id
      if (row.cells[i]!.run !== id) context.catalogue.update(() => (row.cells[i]!.run = id))
    }
    queue.release(row.id)
    if (cluster !== undefined) {
      const waiting = this.runsOf(row).filter((run) => run.status === 'queued' && run.cluster !== undefined)
      clusters.submit(cluster, row.id, [...new Set(waiting.map(({ id }) => id))])
    } else clusters.follow()
    this.finishIfEnded(row)
    return this.view(row)
  }

  /** Cells of one grid are resolved before the first is queued: names taken meanwhile give way. */
  private renamed(config: ReturnType<typeof resolveExperiment>) {
    const { runs } = this.parts.context.catalogue.data
    const name = freeName(runs, config.name)
    return { ...config, name, id: newId(name, runs) }
  }

  /** Grids that were at work when the app ended go on, paused ones wait paused. */
  private goOn(): void {
    for (const row of this.stored) {
      if (row.status === 'paused') this.parts.queue.hold(row.id)
      if (row.status !== 'running') continue
      try {
        this.work(row, row.cluster)
      } catch (error) {
        this.change(row, { status: 'failed', error: toErrorShape(error) })
      }
    }
  }

  /** The run that computes what the digest says: a completed one if there is one. */
  private runWith(digest: string): Run | undefined {
    const { runs } = this.parts.context.catalogue.data
    const found = runs.filter((run) => run.kind === 'student' && this.digestOf(run) === digest)
    return found.find(({ status }) => status === 'completed') ?? found.at(-1)
  }

  /** Told from its configuration as this version reads it, so that a setting added since has its default in it. */
  private digestOf({ id }: Run): string | undefined {
    const known = this.digests.get(id)
    if (known !== undefined) return known
    const config = new RunFolder(this.parts.context.dataDir, id).config()
    if (config) this.digests.set(id, configDigest(config))
    return this.digests.get(id)
  }

  private runsOf(row: StoredGrid): Run[] {
    const ids = new Set(row.cells.map(({ run }) => run))
    return this.parts.context.catalogue.data.runs.filter(({ id }) => ids.has(id))
  }

  private hear(run: Run): void {
    for (const row of this.stored) {
      if (!row.cells.some((cell) => cell.run === run.id)) continue
      if (this.working.has(row.id)) this.finishIfEnded(row)
      this.tellSoon(row)
    }
  }

  private finishIfEnded(row: StoredGrid): void {
    this.countTime(row)
    const runs = this.runsOf(row)
    if (runs.some(({ status }) => ['queued', 'running', 'paused'].includes(status))) return
    this.working.delete(row.id)
    const whole = runs.length && runs.every(({ status }) => status === 'completed')
    this.report(row, runs)
    this.change(row, { status: whole ? 'completed' : 'failed' })
    this.wake()
  }

  /** One report for the grid, of what has completed; an older one gives way. */
  private report(row: StoredGrid, runs: readonly Run[]): void {
    const { reports } = this.parts
    const { grid } = this.expand(row.definition)
    const completed = runs.filter(({ status }) => status === 'completed').map(({ id }) => id)
    if (!grid.report || !completed.length) return
    const old = reports.list().find(({ id }) => id === row.report)
    if (old && old.runs.join() === completed.join()) return
    try {
      if (old) reports.remove(old.id)
      row.report = reports.create({ runs: completed, name: row.name, format: 'html' }).id
    } catch (error) {
      row.error = toErrorShape(error)
    }
  }

  private countTime(row: StoredGrid): void {
    const since = this.working.get(row.id)
    if (since === undefined) return
    const now = Date.now()
    row.seconds += (now - since) / 1000
    this.working.set(row.id, now)
  }

  private require(row: StoredGrid, statuses: StoredGrid['status'][], verb: string): void {
    if (!statuses.includes(row.status))
      throw conflict(`cannot ${verb} grid "${row.name}": it is ${row.status}`)
  }

  private change(row: StoredGrid, change: Partial<StoredGrid>): void {
    this.parts.context.catalogue.update(() =>
      Object.assign(row, change, { updatedAt: new Date().toISOString() }),
    )
    this.tell(row)
  }

  private view(row: StoredGrid): GridRow {
    return gridView(row, this.parts.context.catalogue.data.runs)
  }

  private estimateCells(configs: readonly RunConfig[]): GridEstimate {
    if (!configs.length) throw badInput('there are no cells')
    const done = configs.filter((config) => this.runWith(configDigest(config))?.status === 'completed').length
    return { ...estimateGrid(configs, this.parts.experiments.measured(), this.cacheFor(configs)), done }
  }

  /** Makes room in the teacher-output cache before new passes; what this grid and the active runs read stays. */
  private evict(configs: readonly RunConfig[]): void {
    const { dataDir, catalogue } = this.parts.context
    const { runs, settings } = catalogue.data
    const active = runs
      .filter(({ status }) => ['queued', 'running', 'paused'].includes(status))
      .flatMap(({ id }) => new RunFolder(dataDir, id).config() ?? [])
    const keys = new Set([...configs, ...active].flatMap(cacheKeys))
    const limit = { bytes: settings.cacheGb * 2 ** 30, days: settings.cacheDays }
    evictTeacherCache(dataDir, limit, (key) => keys.has(key))
  }

  private cacheFor(configs: readonly RunConfig[]): Run['autoCache'] {
    const { dataDir, catalogue } = this.parts.context
    return autoCache(configs, dataDir, catalogue.data.settings.cacheGb * 2 ** 30)
  }

  private tell(row: StoredGrid): void {
    clearTimeout(this.told.get(row.id))
    this.told.delete(row.id)
    this.parts.context.pushes.push({ topic: 'grid', grid: this.view(row) })
  }

  private tellSoon(row: StoredGrid): void {
    if (this.told.has(row.id)) return
    this.told.set(
      row.id,
      setTimeout(() => this.tell(row), GATHER_MS),
    )
  }

  private wake(): void {
    for (const resolve of this.waiters) resolve()
    this.waiters.clear()
  }
}
