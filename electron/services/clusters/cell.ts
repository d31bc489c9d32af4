import { setTimeout as sleep } from 'node:timers/promises'
import { conflict, notFound, type TeacherOutputs } from '#contract'
import { takeFileLock, type Lock as FileLock } from '../../files'
import { paths, progressOf, RunFolder } from '../../store'
import type { WorkerContext } from '../worker'
import { startJob } from '../jobs'
import { memoryKills, recordOutOfMemory } from '../memory'
import { addOutputs, waitForWriter } from '../queue'
import { Submissions } from './submissions'

/** A task that was queued again waits so long for the lock of one whose node was lost; the lock is stale by then. */
const LOCK_PATIENCE_MS = 90_000

export interface CellResult {
  status: 'completed' | 'stopped'
  step: number
  /** The step that it was to come to, if not its last. */
  until?: number
}

export interface CellOptions {
  /** Whose task it is: what the folder of the run does not say stands in its file. */
  submission?: string
  /** Only makes the passes of its teachers. */
  prepare?: boolean
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
  { submission, prepare = false }: CellOptions = {},
): Promise<CellResult> {
  const { dataDir } = context
  const folder = new RunFolder(dataDir, id)
  const config = folder.config()
  if (!config) throw notFound('run', id)
  const array = submission === undefined ? undefined : new Submissions(dataDir).get(submission)
  if (submission !== undefined && !array) throw notFound('submission', submission)
  const { autoCache, until } = array?.cells[id] ?? {}
  const lock = await takeCellLock(dataDir, id, signal)
  try {
    const { status, step } = progressOf(folder)
    if (status === 'completed') return { status, step }
    if (until !== undefined && status === 'stopped' && step >= until) return { status, step, until }
    await waitForWriter(folder)
    if (signal.aborted) return { status: 'stopped', step }
    const kills = memoryKills()
    const earlier = folder.teacherOutputs()
    const shared = { config, autoCache, sharedAlignments: array?.sharedAlignments }
    const { worker, result } = startJob(
      context,
      prepare ? { kind: 'prepare', ...shared } : { kind: 'run', resume: true, until, ...shared },
      (event) => {
        if (event.type !== 'teacher-outputs') return
        folder.noteTeacherOutputs(addOutputs(earlier, withoutOwn(earlier, event.outputs)))
      },
    )
    if (worker.pid) folder.noteWriter(worker.pid)
    const stop = () => worker.send({ type: 'stop' })
    signal.addEventListener('abort', stop, { once: true })
    try {
      return { ...((await result) as CellResult), until }
    } catch (error) {
      recordOutOfMemory(folder, config, error, kills)
      throw error
    }
  } finally {
    lock.release()
  }
}

/** What was computed ahead for the run saves it nothing: that is counted once it reads what another run has computed. */
function withoutOwn(
  earlier: readonly TeacherOutputs[],
  outputs: readonly TeacherOutputs[],
): TeacherOutputs[] {
  return outputs.map((one) => {
    const ahead = earlier.find(({ key }) => key === one.key)
    if (!ahead?.computed || ahead.reused) return one
    return { ...one, reused: Math.max(0, one.reused - ahead.computed), secondsSaved: 0 }
  })
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
