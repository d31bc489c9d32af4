import { setTimeout as sleep } from 'node:timers/promises'
import { conflict, notFound } from '#contract'
import { takeFileLock, type Lock as FileLock } from '../files'
import { paths, rowOf, RunFolder } from '../store'
import type { WorkerContext } from './context'
import { startJob } from './job'
import { memoryKills, recordOutOfMemory } from './outOfMemory'
import { waitForWriter } from './queue'

/** A task that was queued again waits so long for the lock of one whose node was lost; the lock is stale by then. */
const LOCK_PATIENCE_MS = 90_000

export interface CellResult {
  status: 'completed' | 'stopped'
  step: number
}

/**
 * Computes a run, or the rest of it, from its folder alone: what a cluster's task does. The catalogue and its lock
 * are not touched; whoever holds them collects the result from the folder.
 *
 * @param signal when aborted the run makes a checkpoint and ends `stopped`
 * @throws not-found when the data directory has no such run, else what the worker says is wrong
 */
export async function computeCell(
  context: WorkerContext,
  id: string,
  signal: AbortSignal,
): Promise<CellResult> {
  const folder = new RunFolder(context.dataDir, id)
  const config = folder.config()
  if (!config) throw notFound('run', id)
  const lock = await takeCellLock(context.dataDir, id, signal)
  try {
    const { status, step } = rowOf(config, folder)
    if (status === 'completed') return { status, step }
    await waitForWriter(folder)
    if (signal.aborted) return { status: 'stopped', step }
    const kills = memoryKills()
    const { worker, result } = startJob(context, { kind: 'run', config, resume: true })
    if (worker.pid) folder.noteWriter(worker.pid)
    const stop = () => worker.send({ type: 'stop' })
    signal.addEventListener('abort', stop, { once: true })
    try {
      return (await result) as CellResult
    } catch (error) {
      recordOutOfMemory(folder, config, error, kills)
      throw error
    }
  } finally {
    lock.release()
  }
}

async function takeCellLock(dataDir: string, id: string, signal: AbortSignal): Promise<FileLock> {
  const patience = Date.now() + LOCK_PATIENCE_MS
  for (;;) {
    const lock = takeFileLock(paths.cellLock(dataDir, id))
    if ('release' in lock) return lock
    if (signal.aborted || Date.now() > patience) {
      throw conflict(`run ${id} is being computed by process ${lock.pid} on ${lock.host} since ${lock.since}`)
    }
    await sleep(1000)
  }
}
