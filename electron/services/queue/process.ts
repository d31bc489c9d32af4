import { setTimeout as sleep } from 'node:timers/promises'
import { conflict, runFiles, type Run, type RunConfig } from '#contract'
import { RunFolder } from '../../store'
import type { Context } from '../context'
import { startJob } from '../jobs'
import { memoryKills, recordOutOfMemory } from '../memory'
import type { WorkerHandle } from '../worker'
import { RunEvents } from './events'
import type { RunRows } from './rows'

/** How long a resumed run waits for a worker that outlived its host by a moment. */
const WRITER_GRACE_MS = 10_000

export interface ProcessOptions {
  /** Whether it goes on from what is in its folder. */
  resumed: boolean
  /** Called before the worker starts. */
  onStart(config: RunConfig, autoCache: Run['autoCache']): void
}

/** `reason`: why it stopped, where nobody told it to. */
interface Ended {
  status: 'completed' | 'stopped'
  reason?: string
}

/** One process of a run: its worker, from the start to its end. */
export class RunProcess {
  /** Resolves with how the worker ended, once it has. */
  readonly ended: Promise<Ended>
  private worker: WorkerHandle | undefined
  private stopping = false

  constructor(
    private readonly context: Context,
    private readonly rows: RunRows,
    private readonly id: string,
    private readonly options: ProcessOptions,
  ) {
    this.ended = this.work()
  }

  pause(): void {
    this.worker?.send({ type: 'pause' })
  }

  continue(): void {
    this.worker?.send({ type: 'continue' })
  }

  /** Ends it with a checkpoint. */
  stop(): void {
    this.stopping = true
    this.worker?.send({ type: 'stop' })
  }

  private async work(): Promise<Ended> {
    const { context, rows, id } = this
    const folder = new RunFolder(context.dataDir, id)
    // What was in its folder before, from this process' life or an earlier one, is gone on from.
    const resume = this.options.resumed || folder.log().length > 0
    await waitForWriter(folder)
    if (this.stopping) return { status: 'stopped' }
    const config = folder.config()
    if (!config) throw conflict(`${folder.path} has no ${runFiles.config}`)
    const { autoCache, sharedAlignments, until, teacherOutputs } = rows.of(id)
    this.options.onStart(config, autoCache)
    const events = new RunEvents(context, rows, id, teacherOutputs)
    const kills = memoryKills()
    const started = startJob(
      context,
      { kind: 'run', config, resume, autoCache, sharedAlignments, until },
      (event) => events.hear(event),
    )
    this.worker = started.worker
    try {
      if (started.worker.pid) folder.noteWriter(started.worker.pid)
    } catch (error) {
      // Nothing would know of a worker that is not noted.
      started.result.catch(() => {})
      started.worker.kill()
      throw error
    }
    rows.follow(id, { status: 'running', retryAt: undefined, startedAt: new Date().toISOString() })
    try {
      return (await started.result) as Ended
    } catch (error) {
      const alarm = rows.has(id) && recordOutOfMemory(folder, config, error, kills)
      if (alarm) events.hear({ type: 'alarm', alarm })
      throw error
    }
  }
}

/** A run's folder has one writer. A worker whose host was killed ends within a step; this waits for it, bounded. */
export async function waitForWriter(folder: RunFolder): Promise<void> {
  const patience = Date.now() + WRITER_GRACE_MS
  while (folder.hasLiveWriter() && Date.now() < patience) await sleep(100)
}
