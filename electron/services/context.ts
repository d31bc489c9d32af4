import { availableParallelism } from 'node:os'
import type { Catalogue } from '../store'
import type { PushLog } from './pushLog'
import type { SpawnWorker } from './worker'

/** What a job in a worker needs. */
export interface WorkerContext {
  dataDir: string
  spawnWorker: SpawnWorker
  /** Threads of a worker. */
  threads(): number
}

/** What every service is given. */
export interface Context extends WorkerContext {
  catalogue: Catalogue
  pushes: PushLog
}

/** The setting, or the cores shared out among the runs computed side by side. */
export function threadsOf({ data }: Catalogue): number {
  const { threads, concurrency } = data.settings
  return threads || Math.max(1, Math.floor(availableParallelism() / concurrency))
}
