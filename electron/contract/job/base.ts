import { z } from 'zod'
import { backends } from '../experiment'

/** Threads of a worker, at most: a slip of some zeros would end every run for want of memory. */
const MOST_THREADS = 1024

/** Intra-op threads of a worker; 0: as many as there are cores. */
export const threadCount = z
  .number()
  .int()
  .nonnegative()
  .max(MOST_THREADS, `expected at most ${MOST_THREADS}`)
  .default(0)

/**
 * What a worker process is asked to do. One worker does one job and exits. All paths are absolute; `dataDir` is the
 * data directory, in which the worker reads library folders and writes only the folders that the job names.
 */
export const base = {
  dataDir: z.string(),
  threads: threadCount,
}
/** Of jobs that compute with tensors. */
export const computing = {
  ...base,
  /** What computes; of a run, where its definition leaves it open. */
  backend: z.enum(backends).default('auto'),
}
