import { availableParallelism } from 'node:os'
import type { Backend } from '#contract'
import type { Catalogue, CatalogueData } from '../store'
import type { PushLog } from './jobs'
import type { WorkerContext } from './worker'

/** What every service is given. */
export interface Context extends WorkerContext {
  catalogue: Catalogue
  pushes: PushLog
  /** Runs computed side by side, where a command says so instead of the setting. */
  jobs?: number
  /** MB that the machine has left, where it is not asked itself. */
  freeMemoryMb?(): number
  /** The backend of this process' jobs, where a command says so instead of the setting. */
  chosenBackend?: Backend
}

/** How many runs may be computed side by side. */
export function concurrencyOf({ catalogue, jobs }: Pick<Context, 'catalogue' | 'jobs'>): number {
  return jobs ?? catalogue.data.settings.concurrency
}

/** The setting, or the cores shared out among the runs computed side by side. */
export function threadsOf(context: Pick<Context, 'catalogue' | 'jobs'>): number {
  const { threads } = context.catalogue.data.settings
  return threads || Math.max(1, Math.floor(availableParallelism() / concurrencyOf(context)))
}

/** What definitions are resolved against: the catalogue's rows, and the folder in which the rows' files lie. */
export type LibraryRows = Pick<CatalogueData, 'corpora' | 'tokenizers' | 'teachers' | 'runs'> & {
  dataDir: string
}

export function libraryRows({ catalogue, dataDir }: Context): LibraryRows {
  const { corpora, tokenizers, teachers, runs } = catalogue.data
  return { corpora, tokenizers, teachers, runs, dataDir }
}
