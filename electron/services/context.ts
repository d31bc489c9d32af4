import { availableParallelism } from 'node:os'
import type { Catalogue } from '../store'
import type { PushLog } from './pushLog'
import type { SpawnWorker } from './worker'

/** What every service is given. */
export interface Context {
  dataDir: string
  catalogue: Catalogue
  pushes: PushLog
  spawnWorker: SpawnWorker
}

/** Threads of a worker: the setting, shared out among the runs computed side by side. */
export function workerThreads({ catalogue }: Context): number {
  const { threads, concurrency } = catalogue.data.settings
  if (threads) return threads
  return Math.max(1, Math.floor(availableParallelism() / concurrency))
}
