import { toErrorShape, type Halving, type Run, type RunConfig, type StoredGrid } from '#contract'
import { alignmentsOf, type TeacherCache } from '../library'
import type { ClusterService } from '../clusters'
import type { Context } from '../context'
import type { ExperimentService } from '../experiments'
import { freeName, newId } from '../identity'
import type { RunQueue } from '../queue'
import { type ReportService, stoppedTable } from '../report'
import type { GridCells } from './cells'
import { Competition } from './competition'
import type { GridRows } from './rows'
import { isAtRung } from './view'

export interface GridParts {
  context: Context
  queue: RunQueue
  reports: ReportService
  experiments: ExperimentService
  clusters: ClusterService
  cache: TeacherCache
}

/** How often a cell is started again when its worker crashes. */
const RETRIES = 3

/** The grids that this process works on: queues their cells, follows them to their end, and reports it. */
export class GridWork {
  /** Since when each one's time was last counted. */
  private readonly since = new Map<string, number>()
  /** Successive halving of those that have it. */
  private readonly halvings = new Map<string, Halving>()
  /** Those whose cells are being queued. */
  private readonly starting = new Set<string>()
  private readonly competition: Competition
  private readonly waiters = new Set<() => void>()
  private readonly endListening: () => void

  constructor(
    private readonly parts: GridParts,
    private readonly rows: GridRows,
    private readonly cells: GridCells,
  ) {
    this.competition = new Competition(parts.context, parts.queue)
    parts.clusters.onPasses = (group, passJob) => {
      const row = rows.all.find(({ id }) => id === group)
      if (row) rows.change(row, { passJob })
    }
    this.endListening = parts.context.pushes.onPush((_, push) => {
      if (push.topic === 'run') this.hear(push.run)
    })
  }

  has(id: string): boolean {
    return this.since.has(id)
  }

  /** Queues what is not done, and follows it to its end. */
  start(row: StoredGrid, cluster?: string): void {
    const { queue, context, clusters } = this.parts
    this.since.set(row.id, Date.now())
    this.rows.change(row, {
      status: 'running',
      error: undefined,
      cluster,
      ...(cluster === undefined && { passJob: undefined }),
    })
    // Held until all of it is queued: cells then start in the grid's order.
    queue.hold(row.id)
    this.starting.add(row.id)
    const expanded = this.cells.expand(row.definition)
    const { halving } = expanded.grid
    if (halving) this.halvings.set(row.id, halving)
    else this.halvings.delete(row.id)
    const cells = this.cells.resolve(expanded)
    const configs = cells.map(({ config }) => config)
    const autoCache = this.cells.cacheFor(configs)
    // A cluster with a data directory of its own has a cache of its own.
    const elsewhere = cluster !== undefined && clusters.profiles.get(cluster).transfer === 'rsync'
    if (!elsewhere) this.parts.cache.makeRoom(configs.map((config) => ({ config, autoCache })))
    const origin = {
      group: row.id,
      retries: RETRIES,
      cluster,
      autoCache,
      sharedAlignments: alignmentsOf(configs),
    }
    for (const [i, { config, digest }] of cells.entries()) {
      const run = this.cells.runWith(digest)
      if (!run) {
        const until = this.competition.firstEnd(halving, config.experiment.train.steps)
        queue.add(this.renamed(config), { ...origin, until })
      } else if (run.status === 'queued') {
        if (cluster === undefined) queue.adopt(run.id)
        else queue.assign(run.id, cluster)
      } else if (
        run.status === 'failed' ||
        (run.status === 'stopped' && !this.competition.waits(halving, run))
      ) {
        queue.resume(run.id, { cluster, until: this.competition.nextEnd(halving, run) })
      }
      const id = this.cells.runWith(digest)!.id
      if (row.cells[i]!.run !== id) context.catalogue.update(() => (row.cells[i]!.run = id))
    }
    queue.release(row.id)
    if (cluster !== undefined) this.submitWaiting(row, cluster)
    else clusters.follow()
    this.starting.delete(row.id)
    this.finishIfEnded(row)
  }

  /** Ends its running cells with a checkpoint. */
  stop(row: StoredGrid): void {
    const { queue, clusters } = this.parts
    this.since.delete(row.id)
    const active = this.cells
      .runsOf(row)
      .filter(({ status }) => ['queued', 'running', 'paused'].includes(status))
    for (const run of active) if (run.cluster === undefined) queue.stop(run.id)
    clusters
      .stop(active.flatMap((run) => (run.cluster === undefined ? [] : [run.id])))
      .catch((error: unknown) => this.rows.change(row, { error: toErrorShape(error) }))
    queue.release(row.id)
    this.wake()
  }

  /** Grids that were at work when the app ended go on, paused ones wait paused. */
  goOn(): void {
    for (const row of this.rows.all) {
      if (row.status === 'paused') this.parts.queue.hold(row.id)
      if (row.status !== 'running') continue
      try {
        this.start(row, row.cluster)
      } catch (error) {
        this.rows.change(row, { status: 'failed', error: toErrorShape(error) })
      }
    }
  }

  /** Resolves when some grid has ended, or was stopped. */
  async someEnd(): Promise<void> {
    await new Promise<void>((resolve) => this.waiters.add(resolve))
  }

  close(): void {
    this.endListening()
  }

  private submitWaiting(row: StoredGrid, cluster: string): void {
    const waiting = this.cells
      .runsOf(row)
      .filter((run) => run.status === 'queued' && run.cluster !== undefined)
    this.parts.clusters.submit(cluster, row.id, [...new Set(waiting.map(({ id }) => id))])
  }

  /** Cells of one grid are resolved before the first is queued: names taken meanwhile give way. */
  private renamed(config: RunConfig): RunConfig {
    const { runs } = this.parts.context.catalogue.data
    const name = freeName(runs, config.name)
    return { ...config, name, id: newId(name, runs) }
  }

  private hear(run: { id: string }): void {
    for (const row of this.rows.all) {
      if (!row.cells.some((cell) => cell.run === run.id)) continue
      // A failed grid is whole once its cells were tried again one by one.
      if (this.has(row.id) || row.status === 'failed') this.finishIfEnded(row)
      this.rows.tellSoon(row)
    }
  }

  private finishIfEnded(row: StoredGrid): void {
    this.countTime(row)
    if (this.starting.has(row.id)) return
    const halving = this.halvings.get(row.id)
    if (halving) {
      // What it lets go on is heard of only when all of it is queued.
      this.starting.add(row.id)
      const any = this.competition.advance(row, halving, this.cells.runsOf(row))
      this.starting.delete(row.id)
      if (any && row.cluster !== undefined) this.submitWaiting(row, row.cluster)
    }
    const runs = this.cells.runsOf(row)
    if (runs.some(({ status }) => ['queued', 'running', 'paused'].includes(status))) return
    this.since.delete(row.id)
    const whole = runs.length && runs.every((run) => run.status === 'completed' || isAtRung(run))
    if (halving) this.competition.explain(row, halving, runs)
    this.report(row, runs, halving)
    this.rows.change(row, { status: whole ? 'completed' : 'failed' })
    this.wake()
  }

  /** One report for the grid, of what has completed; an older one gives way. */
  private report(row: StoredGrid, runs: readonly Run[], halving?: Halving): void {
    const { reports } = this.parts
    const { grid } = this.cells.expand(row.definition)
    const completed = runs.filter(({ status }) => status === 'completed').map(({ id }) => id)
    if (!grid.report || !completed.length) return
    const old = reports.list().find(({ id }) => id === row.report)
    if (old && old.runs.join() === completed.join()) return
    try {
      if (old) reports.remove(old.id)
      const more = halving ? stoppedTable(this.competition.stopped(runs, halving), halving) : []
      row.report = reports.create({ runs: completed, name: row.name, format: 'html' }, { more }).id
    } catch (error) {
      row.error = toErrorShape(error)
    }
  }

  private countTime(row: StoredGrid): void {
    const since = this.since.get(row.id)
    if (since === undefined) return
    const now = Date.now()
    row.seconds += (now - since) / 1000
    this.since.set(row.id, now)
  }

  private wake(): void {
    for (const resolve of this.waiters) resolve()
    this.waiters.clear()
  }
}
