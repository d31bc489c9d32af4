import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { conflict, RetortError, runFiles, toErrorShape, type Run, type RunConfig } from '#contract'
import { writeJsonAtomic } from '../../files'
import { describeRun, RunFolder } from '../../store'
import { concurrencyOf, type Context } from '../context'
import { WorkerDeath } from '../jobs'
import { MemoryShare } from './memoryShare'
import { adoptOrphans, nextWaiting, placeBefore } from './order'
import { RunProcess } from './process'
import { RunRows } from './rows'

export { waitForWriter } from './process'

interface Active {
  process: RunProcess
  /** Settles when the worker has ended and the row says how. */
  ended: Promise<void>
}

export interface RunOrigin {
  experiment?: string
  group?: string
  /** The cluster that is to compute it: this queue leaves it alone. */
  cluster?: string
  /** How often it is started again when its worker crashes. */
  retries?: number
  /** What `cache.mode: auto` is for it. */
  autoCache?: Run['autoCache']
  /** The step it ends at for now. */
  until?: number
  /** Of runs that share its teacher passes. */
  sharedAlignments?: Run['sharedAlignments']
}

export interface QueueOptions {
  /** Called when a run has completed, before its row says so. */
  onCompleted: Finish
  /** Called before a run's worker starts. */
  onStart: OnStart
  /** A host that stays open works off all that waits; a command only what it has queued itself. */
  scope: 'all' | 'own'
}

export type OnStart = (config: RunConfig, autoCache: Run['autoCache']) => void
type Finish = (row: Run) => Promise<void> | void

/** How long a crashed run waits before it is tried for the second time. */
const BACK_OFF_MS = 1000

/** Runs waiting, running and paused. Each runs in a worker of its own; its death is the run's failure, not the app's. */
export class RunQueue {
  private readonly rows: RunRows
  private readonly memory: MemoryShare
  private readonly active = new Map<string, Active>()
  private readonly resuming = new Set<string>()
  private readonly failures = new Map<string, RetortError>()
  private readonly own = new Set<string>()
  /** Runs whose reason is that memory is short. */
  private readonly short = new Set<string>()
  /** Groups of which nothing is started for now. */
  private readonly held = new Set<string>()
  /** Runs whose worker crashed, waiting out their back-off. */
  private readonly backingOff = new Map<string, NodeJS.Timeout>()
  /** How often a run was tried again in this process' life. */
  private readonly retried = new Map<string, number>()
  private readonly waiters = new Set<() => void>()
  private closing = false
  /** Runs that an earlier process left in the middle. */
  readonly orphans: ReadonlySet<string>

  constructor(
    private readonly context: Context,
    private readonly options: QueueOptions,
  ) {
    this.rows = new RunRows(context)
    this.memory = new MemoryShare(context)
    this.orphans = adoptOrphans(context)
    // Rows that wait from an earlier life of the app start again, once every room is there.
    if (options.scope === 'all') setImmediate(() => this.startNext())
  }

  /** Writes the run's folder and queues it. */
  add(config: RunConfig, origin: RunOrigin = {}): Run {
    const folder = new RunFolder(this.context.dataDir, config.id)
    mkdirSync(folder.path, { recursive: true })
    writeJsonAtomic(join(folder.path, runFiles.config), config)
    const row = this.rows.add({ ...describeRun(config), ...origin, status: 'queued', step: 0 })
    this.own.add(row.id)
    this.startNext()
    return row
  }

  /** Lets a waiting run of an earlier process start in this one. */
  adopt(id: string): void {
    this.own.add(id)
    this.startNext()
  }

  /** Starts none of the group's runs until `release`; what runs goes on. */
  hold(group: string): void {
    this.held.add(group)
  }

  release(group: string): void {
    this.held.delete(group)
    this.startNext()
  }

  /** Moves a waiting run before another one, or to the end; it takes that one's priority. */
  reorder(id: string, before?: string): Run {
    const row = this.rows.of(id)
    this.rows.require(row, ['queued'], 'move')
    const target = before === undefined ? undefined : this.rows.of(before)
    this.rows.change(row.id, placeBefore(this.rows.all, row, target))
    return this.rows.of(id)
  }

  prioritise(id: string, priority: number): Run {
    const row = this.rows.of(id)
    this.rows.change(row.id, { priority })
    return row
  }

  /** Looks whether something may start: a setting has changed. */
  wake(): void {
    this.startNext()
  }

  /** Gives a waiting run to a cluster. */
  assign(id: string, cluster: string): void {
    const row = this.rows.of(id)
    this.rows.require(row, ['queued'], 'move')
    this.rows.change(row.id, { cluster })
  }

  pause(id: string): Run {
    const row = this.rows.of(id)
    if (row.cluster) throw conflict(`run "${row.name}" is on a cluster: stop it, and it goes on from there`)
    this.rows.require(row, ['running'], 'pause')
    this.active.get(row.id)?.process.pause()
    return row
  }

  continue(id: string): Run {
    const row = this.rows.of(id)
    this.rows.require(row, ['paused'], 'continue')
    this.active.get(row.id)?.process.continue()
    return row
  }

  /** A running one makes a checkpoint and ends; a queued one only leaves the queue. */
  stop(id: string): Run {
    const row = this.rows.of(id)
    this.rows.require(row, ['queued', 'running', 'paused'], 'stop')
    clearTimeout(this.backingOff.get(row.id))
    this.backingOff.delete(row.id)
    const active = this.active.get(row.id)
    if (active) active.process.stop()
    else this.rows.change(row.id, { status: 'stopped', retryAt: undefined, reason: 'taken out of the queue' })
    return this.rows.of(id)
  }

  /**
   * Goes on from the last checkpoint. A command also starts so what an earlier process queued and never began.
   *
   * @param cluster that is to compute the rest; default this machine
   * @param until the step it ends at for now; default the last
   */
  resume(id: string, { cluster, until }: Pick<RunOrigin, 'cluster' | 'until'> = {}): Run {
    const row = this.rows.of(id)
    if (this.isLeftWaiting(row)) {
      this.adopt(row.id)
      return row
    }
    this.rows.require(row, ['stopped', 'failed'], 'resume')
    this.resuming.add(row.id)
    this.own.add(row.id)
    this.rows.change(row.id, { status: 'queued', reason: undefined, endedAt: undefined, cluster, until })
    this.startNext()
    return this.rows.of(id)
  }

  /** Says why a run is in the state it is in. */
  explain(id: string, reason: string): void {
    this.rows.change(this.rows.of(id).id, { reason })
  }

  /** Resolves when the run has ended, however. */
  async finished(id: string): Promise<Run> {
    for (;;) {
      const row = this.rows.of(id)
      if (['completed', 'failed', 'stopped'].includes(row.status)) return row
      await (this.active.get(id)?.ended ?? new Promise<void>((resolve) => this.waiters.add(resolve)))
    }
  }

  /** Why a run of this process' life failed. */
  failure(id: string): RetortError | undefined {
    return this.failures.get(id)
  }

  /** Asks every run to stop with a checkpoint and waits for them. */
  async close(): Promise<void> {
    this.closing = true
    for (const timer of this.backingOff.values()) clearTimeout(timer)
    for (const { process } of this.active.values()) process.stop()
    await Promise.all([...this.active.values()].map(({ ended }) => ended))
  }

  /** Whether it waits for a process that is gone: a host that stays open starts such a run by itself. */
  private isLeftWaiting({ id, status, cluster }: Run): boolean {
    return this.options.scope === 'own' && status === 'queued' && cluster === undefined && !this.own.has(id)
  }

  private startNext(): void {
    const { runs, settings } = this.context.catalogue.data
    // Who gives a command wants it done: it would wait for ever for the app to let its own queue go on.
    const paused = settings.queuePaused && this.options.scope === 'all'
    while (!this.closing && !paused && this.active.size < concurrencyOf(this.context)) {
      const next = nextWaiting(runs, (row) => this.mayStart(row))
      if (!next) return
      const obstacle = this.memory.obstacle(next.id, [...this.active.keys()])
      if (obstacle !== undefined) {
        this.waitForMemory(next, obstacle)
        return
      }
      this.start(next.id)
    }
  }

  /** It stays the next one: smaller ones behind it would put it off for ever. */
  private waitForMemory({ id, reason }: Run, obstacle: string): void {
    if (reason === obstacle) return
    this.short.add(id)
    this.rows.follow(id, { reason: obstacle })
  }

  private mayStart({ id, group, cluster }: Run): boolean {
    if (cluster !== undefined) return false
    if (this.active.has(id) || this.backingOff.has(id)) return false
    if (this.options.scope === 'own' && !this.own.has(id)) return false
    return group === undefined || !this.held.has(group)
  }

  private start(id: string): void {
    if (this.short.delete(id)) this.rows.follow(id, { reason: undefined })
    const process = new RunProcess(this.context, this.rows, id, {
      resumed: this.resuming.delete(id),
      onStart: this.options.onStart,
    })
    const ended = process.ended
      .then(async ({ status, reason }) => {
        this.context.pushes.flush()
        if (status === 'completed') await this.options.onCompleted(this.rows.of(id))
        this.rows.follow(id, { status, ...(reason && { reason }), endedAt: new Date().toISOString() })
      })
      .catch((error: unknown) => {
        this.context.pushes.flush()
        const reason = error instanceof Error ? error.message : String(error)
        if (error instanceof WorkerDeath && this.retry(id, reason)) return
        this.failures.set(id, new RetortError(toErrorShape(error)))
        if (this.rows.has(id))
          this.rows.follow(id, { status: 'failed', reason, endedAt: new Date().toISOString() })
      })
      .finally(() => {
        this.active.delete(id)
        for (const wake of this.waiters) wake()
        this.waiters.clear()
        this.startNext()
      })
    this.active.set(id, { process, ended })
  }

  /** Queues a crashed run again after a while that doubles with every try; false when its tries are used up. */
  private retry(id: string, reason: string): boolean {
    if (this.closing || !this.rows.has(id)) return false
    const { retries } = this.rows.of(id)
    if (!retries) return false
    const tries = this.retried.get(id) ?? 0
    this.retried.set(id, tries + 1)
    this.resuming.add(id)
    const wait = BACK_OFF_MS * 2 ** tries
    this.rows.follow(id, {
      status: 'queued',
      retries: retries - 1,
      retryAt: new Date(Date.now() + wait).toISOString(),
      reason: `tried again: ${reason}`,
    })
    const timer = setTimeout(() => {
      this.backingOff.delete(id)
      this.startNext()
    }, wait)
    this.backingOff.set(id, timer)
    return true
  }
}
