import { z } from 'zod'
import { backends } from '../experiment'

/**
 * What a worker process is asked to do. One worker does one job and exits. All paths are absolute; `dataDir` is the
 * data directory, in which the worker reads library folders and writes only the folders that the job names.
 */
export const base = {
  dataDir: z.string(),
  threads: z.number().int().nonnegative().default(0),
}
/** Of jobs that compute with tensors. */
export const computing = {
  ...base,
  /** What computes; of a run, where its definition leaves it open. */
  backend: z.enum(backends).default('auto'),
}
