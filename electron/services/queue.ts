import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  conflict,
  RetortError,
  runFiles,
  toErrorShape,
  type Alarm,
  type LoggedEvent,
  type Run,
  type RunConfig,
  type TeacherOutputs,
  type WorkerEvent,
} from '#contract'
import { join } from 'node:path'
import { writeJsonAtomic } from '../files'
import { describeRun, RunFolder, summariseAlarms } from '../store'
import { concurrencyOf, type Context } from './context'
import { keepCalibration } from './library'
import { find } from './identity'
import { startJob, WorkerDeath } from './job'
import { addOutputs, adoptOrphans, nextWaiting, placeBefore } from './queueOrder'
import type { WorkerHandle } from './worker'

interface Active {
  worker: WorkerHandle
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
}

export interface QueueOptions {
  /** Called when a run has completed, before its row says so. */
  onCompleted: Finish
  /** A host that stays open works off all that waits; a command only what it has queued itself. */
  scope: 'all' | 'own'
}

type Finish = (row: Run) => Promise<void> | void

/** How long a resumed run waits for a worker that outlived its host by a moment. */
const WRITER_GRACE_MS = 10_000
/** How long a crashed run waits before it is tried for the second time. */
const BACK_OFF_MS = 1000

/** Runs waiting, running and paused. Each runs in a worker of its own; its death is the run's failure, not the app's. */
export class RunQueue {
  private readonly active = new Map<string, Active>()
  private readonly resuming = new Set<string>()
  private readonly failures = new Map<string, RetortError>()
  private readonly own = new Set<string>()
  /** Groups of which nothing is started for now. */
  private readonly held = new Set<string>()
  /** Runs whose worker crashed, waiting out their back-off. */
  private readonly backingOff = new Map<string, NodeJS.Timeout>()
  private closing = false
  /** Runs that an earlier process left in the middle. */
  readonly orphans: ReadonlySet<string>

  constructor(
    private readonly context: Context,
    private readonly options: QueueOptions,
  ) {
    this.orphans = adoptOrphans(context)
    // Rows that wait from an earlier life of the app start again, once every room is there.
    if (options.scope === 'all') setImmediate(() => this.startNext())
  }

  /** Writes the run's folder and queues it. */
  add(config: RunConfig, origin: RunOrigin = {}): Run {
    const { dataDir, catalogue } = this.context
    const folder = new RunFolder(dataDir, config.id)
    mkdirSync(folder.path, { recursive: true })
    writeJsonAtomic(join(folder.path, runFiles.config), config)
    const place = Math.max(0, ...catalogue.data.runs.map((other) => other.place)) + 1
    const row: Run = { ...describeRun(config), ...origin, place, status: 'queued', step: 0 }
    catalogue.update(({ runs }) => runs.push(row))
    this.own.add(row.id)
    this.tell(row)
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
    const row = this.row(id)
    this.require(row, ['queued'], 'move')
    const target = before === undefined ? undefined : this.row(before)
    this.change(row.id, placeBefore(this.context.catalogue.data.runs, row, target))
    return this.row(id)
  }

  prioritise(id: string, priority: number): Run {
    const row = this.row(id)
    this.change(row.id, { priority })
    return row
  }

  /** Looks whether something may start: a setting has changed. */
  wake(): void {
    this.startNext()
  }

  /** Gives a waiting run to a cluster. */
  assign(id: string, cluster: string): void {
    const row = this.row(id)
    this.require(row, ['queued'], 'move')
    this.change(row.id, { cluster })
  }

  pause(id: string): Run {
    const row = this.row(id)
    if (row.cluster) throw conflict(`run "${row.name}" is on a cluster: stop it, and it goes on from there`)
    this.require(row, ['running'], 'pause')
    this.active.get(row.id)?.worker.send({ type: 'pause' })
    return row
  }

  continue(id: string): Run {
    const row = this.row(id)
    this.require(row, ['paused'], 'continue')
    this.active.get(row.id)?.worker.send({ type: 'continue' })
    return row
  }

  /** A running one makes a checkpoint and ends; a queued one only leaves the queue. */
  stop(id: string): Run {
    const row = this.row(id)
    this.require(row, ['queued', 'running', 'paused'], 'stop')
    clearTimeout(this.backingOff.get(row.id))
    this.backingOff.delete(row.id)
    const active = this.active.get(row.id)
    if (active) active.worker.send({ type: 'stop' })
    else this.change(row.id, { status: 'stopped', reason: 'taken out of the queue' })
    return this.row(id)
  }

  /** @param cluster that is to compute the rest; default this machine */
  resume(id: string, cluster?: string): Run {
    const row = this.row(id)
    this.require(row, ['stopped', 'failed'], 'resume')
    this.resuming.add(row.id)
    this.own.add(row.id)
    this.change(row.id, { status: 'queued', reason: undefined, endedAt: undefined, cluster })
    this.startNext()
    return this.row(id)
  }

  /** Resolves when the run has ended, however. */
  async finished(id: string): Promise<Run> {
    for (;;) {
      const row = this.row(id)
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
    for (const { worker } of this.active.values()) worker.send({ type: 'stop' })
    await Promise.all([...this.active.values()].map(({ ended }) => ended))
  }

  /** What the teachers' outputs had cost a run before this process of it. */
  private readonly earlierOutputs = new Map<string, TeacherOutputs[]>()
  /** How often a run was tried again in this process' life. */
  private readonly retried = new Map<string, number>()
  private readonly waiters = new Set<() => void>()

  private startNext(): void {
    const { runs, settings } = this.context.catalogue.data
    while (!this.closing && !settings.queuePaused && this.active.size < concurrencyOf(this.context)) {
      const next = nextWaiting(runs, (row) => this.mayStart(row))
      if (!next) return
      this.start(next.id)
    }
  }

  private mayStart({ id, group, cluster }: Run): boolean {
    if (cluster !== undefined) return false
    if (this.active.has(id) || this.backingOff.has(id)) return false
    if (this.options.scope === 'own' && !this.own.has(id)) return false
    return group === undefined || !this.held.has(group)
  }

  private start(id: string): void {
    const folder = new RunFolder(this.context.dataDir, id)
    // What was in its folder before, from this process' life or an earlier one, is gone on from.
    const resume = this.resuming.delete(id) || folder.log().length > 0
    let stopped = false
    let worker: WorkerHandle | undefined
    const handle: WorkerHandle = {
      send: (message) => {
        if (worker) worker.send(message)
        else if (message.type === 'stop') stopped = true
      },
      onEvent: () => {},
      onExit: () => {},
      kill: () => worker?.kill(),
    }
    const work = async () => {
      await waitForWriter(folder)
      if (stopped) return { status: 'stopped' as const }
      const config = folder.config()
      if (!config) throw conflict(`${folder.path} has no ${runFiles.config}`)
      const { autoCache, teacherOutputs } = this.row(id)
      this.earlierOutputs.set(id, teacherOutputs)
      const started = startJob(this.context, { kind: 'run', config, resume, autoCache }, (event) =>
        this.hear(id, event),
      )
      worker = started.worker
      if (worker.pid) folder.noteWriter(worker.pid)
      this.change(id, { status: 'running', startedAt: new Date().toISOString() })
      return (await started.result) as { status: 'completed' | 'stopped' }
    }
    const ended = work()
      .then(async ({ status }) => {
        this.context.pushes.flush()
        if (status === 'completed') await this.options.onCompleted(this.row(id))
        this.change(id, { status, endedAt: new Date().toISOString() })
      })
      .catch((error: unknown) => {
        this.context.pushes.flush()
        const reason = error instanceof Error ? error.message : String(error)
        if (error instanceof WorkerDeath && this.retry(id, reason)) return
        this.failures.set(id, new RetortError(toErrorShape(error)))
        if (this.exists(id)) this.change(id, { status: 'failed', reason, endedAt: new Date().toISOString() })
      })
      .finally(() => {
        this.active.delete(id)
        for (const wake of this.waiters) wake()
        this.waiters.clear()
        this.startNext()
      })
    this.active.set(id, { worker: handle, ended })
  }

  private hear(id: string, event: WorkerEvent): void {
    const { catalogue, pushes } = this.context
    const log = (event: LoggedEvent['event'], message?: string) =>
      pushes.push({ topic: 'log', id, entry: { at: new Date().toISOString(), event, message } })
    switch (event.type) {
      case 'step':
        catalogue.updateLazily(() =>
          Object.assign(this.row(id), { step: event.record.step, last: event.record }),
        )
        return pushes.step(id, event.record)
      case 'evaluation':
        this.change(id, { evaluation: event.record })
        return pushes.push({ topic: 'evaluation', id, record: event.record })
      case 'checkpoint':
        this.change(id, { best: event.checkpoint.best })
        return pushes.push({ topic: 'checkpoint', id, checkpoint: event.checkpoint })
      case 'teacher-outputs':
        return this.change(id, { teacherOutputs: addOutputs(this.earlierOutputs.get(id), event.outputs) })
      case 'paused':
        this.change(id, { status: 'paused' })
        return log('paused')
      case 'continued':
        this.change(id, { status: 'running' })
        return log('continued')
      case 'calibration':
        return keepCalibration(this.context, event.teacher, event.calibration)
      case 'alarm':
        return this.hearAlarm(id, event.alarm)
      case 'log':
        return log('log', event.message)
    }
  }

  private hearAlarm(id: string, alarm: Alarm): void {
    const { step, message } = alarm
    // Counted from the folder: a resumed run raises anew what it had raised after its checkpoint.
    this.change(id, { alarms: summariseAlarms(new RunFolder(this.context.dataDir, id).log()) })
    const entry: LoggedEvent = { at: new Date().toISOString(), event: 'alarm', step, message, alarm }
    this.context.pushes.push({ topic: 'log', id, entry })
  }

  private change(id: string, change: Partial<Run>): void {
    const row = this.context.catalogue.update(() => Object.assign(this.row(id), change))
    this.context.pushes.flush()
    this.tell(row)
  }

  private tell(row: Run): void {
    this.context.pushes.push({ topic: 'run', run: { ...row } })
  }

  private row(id: string): Run {
    return find('run', this.context.catalogue.data.runs, id)
  }

  private exists(id: string): boolean {
    return this.context.catalogue.data.runs.some((row) => row.id === id)
  }

  private require(row: Run, statuses: Run['status'][], verb: string): void {
    if (!statuses.includes(row.status))
      throw conflict(`cannot ${verb} run "${row.name}": it is ${row.status}`)
  }

  /** Queues a crashed run again after a while that doubles with every try; false when its tries are used up. */
  private retry(id: string, reason: string): boolean {
    if (this.closing || !this.exists(id)) return false
    const { retries } = this.row(id)
    if (!retries) return false
    const tries = this.retried.get(id) ?? 0
    this.retried.set(id, tries + 1)
    this.resuming.add(id)
    this.change(id, { status: 'queued', retries: retries - 1, reason: `tried again: ${reason}` })
    const timer = setTimeout(
      () => {
        this.backingOff.delete(id)
        this.startNext()
      },
      BACK_OFF_MS * 2 ** tries,
    )
    this.backingOff.set(id, timer)
    return true
  }
}

/** A run's folder has one writer. A worker whose host was killed ends within a step; this waits for it, bounded. */
export async function waitForWriter(folder: RunFolder): Promise<void> {
  const patience = Date.now() + WRITER_GRACE_MS
  while (folder.hasLiveWriter() && Date.now() < patience) await sleep(100)
}
