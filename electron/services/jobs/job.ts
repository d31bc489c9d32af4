import {
  failed,
  RetortError,
  type JobInput,
  type Job,
  type WorkerEvent,
  parse,
  job as jobSchema,
} from '#contract'
import type { WorkerContext } from '../worker'
import type { WorkerExit, WorkerHandle } from '../worker'

type WithoutBase<T> = T extends unknown ? Omit<T, 'dataDir' | 'threads'> : never
/** A job without what every job has and the context knows. */
export type JobOf<K extends Job['kind']> = WithoutBase<Extract<JobInput, { kind: K }>>

export interface JobOptions {
  onEvent?: (event: WorkerEvent) => void
  /** Ends the worker at once; for work that leaves nothing half done. */
  signal?: AbortSignal
}

/** Does one job in a worker of its own. The result is the one that the job's schema documents. */
export async function performJob<Result>(
  context: WorkerContext,
  job: JobOf<Job['kind']>,
  options: JobOptions = {},
): Promise<Result> {
  const started = startJob(context, job, options.onEvent)
  const abort = () => started.worker.kill()
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    options.signal?.throwIfAborted()
    return (await started.result) as Result
  } catch (error) {
    if (options.signal?.aborted) throw stopped()
    throw error
  } finally {
    options.signal?.removeEventListener('abort', abort)
  }
}

export function stopped(): RetortError {
  return failed('stopped')
}

export interface StartedJob {
  worker: WorkerHandle
  result: Promise<unknown>
}

/** Starts a worker on a job; rejects with what the worker says is wrong, or with how it died. */
export function startJob(
  context: WorkerContext,
  input: JobOf<Job['kind']>,
  onEvent: (event: WorkerEvent) => void = () => {},
): StartedJob {
  const base = { dataDir: context.dataDir, threads: context.threads(), backend: context.backend?.() }
  const job = parse(jobSchema, { ...base, ...input })
  const worker = context.spawnWorker()
  const result = new Promise<unknown>((resolve, reject) => {
    worker.onEvent((event) => {
      if (event.type === 'ready') worker.send({ type: 'job', job })
      onEvent(event)
      if (event.type === 'done') resolve(event.result)
      if (event.type === 'error') reject(new RetortError(event.error))
    })
    worker.onExit((exit) => reject(new WorkerDeath(exit)))
  })
  return { worker, result }
}

/** Thrown when the process itself died: nothing is known to be wrong with the job, it may be tried again. */
export class WorkerDeath extends RetortError {
  constructor(readonly exit: WorkerExit) {
    super({ code: 'failed', message: describeDeath(exit) })
  }
}

/** A worker that ended before its job did. */
function describeDeath({ code, signal, stderr }: WorkerExit): string {
  const how = signal
    ? `was killed by ${signal}${signal === 'SIGKILL' ? ' (by hand, or for want of memory)' : ''}`
    : `ended with exit status ${code}`
  const last = stderr.split('\n').findLast((line) => line.trim())
  return `the worker process ${how} before its job was done${last ? `; its last words: ${last.trim()}` : ''}`
}
