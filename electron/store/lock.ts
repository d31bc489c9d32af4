import { conflict } from '#contract'
import { takeFileLock, type Lock } from '../files'
import { paths } from './dataDirectory'

export type { Lock } from '../files'

/**
 * Takes the data directory's lock: one writer of the catalogue at a time.
 *
 * @throws conflict naming the holder
 */
export function takeLock(dataDir: string): Lock {
  const lock = takeFileLock(paths.lock(dataDir))
  if ('release' in lock) return lock
  throw conflict(
    `the data directory ${dataDir} is in use by process ${lock.pid} on ${lock.host} since ${lock.since}; close it first, or choose another with --data-dir`,
  )
}
