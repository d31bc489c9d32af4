import type { Backend, HostMessage, WorkerEvent } from '#contract'

export interface WorkerExit {
  code: number | null
  signal: string | null
  /** The last lines the process wrote to standard error. */
  stderr: string
}

/** A worker process, whatever launched it. */
export interface WorkerHandle {
  /** Process id, once it is known. */
  readonly pid?: number
  send(message: HostMessage): void
  onEvent(listener: (event: WorkerEvent) => void): void
  /** Called once, after the last event. */
  onExit(listener: (exit: WorkerExit) => void): void
  /** SIGKILL. */
  kill(): void
}

/** Given to the services by their host: the same worker under utilityProcess, child_process or Slurm. */
export type SpawnWorker = () => WorkerHandle

/** What a job in a worker needs. */
export interface WorkerContext {
  dataDir: string
  spawnWorker: SpawnWorker
  /** Threads of a worker. */
  threads(): number
  /** What computes a job that leaves it open; default `auto`. */
  backend?(): Backend
}
