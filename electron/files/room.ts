import { copyFileSync, existsSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { failed, parameterCount, trainedParameters, type RetortError, type RunConfig } from '#contract'

const MB = 2 ** 20
/** What a quota's end looks like, beside a full disk. */
const FULL = ['ENOSPC', 'EDQUOT']

/** Whether an error says that the disk had no room, as the system or as `withRoom` tells it. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as NodeJS.ErrnoException
  return (code !== undefined && FULL.includes(code)) || isDiskFull(error.cause)
}

/**
 * Writes something. The system's own word for a full disk names neither the file nor what it wanted.
 *
 * @param bytes of what is written
 * @throws failed saying what was written where, how much it takes and how much is left
 */
export function withRoom<T>(path: string, bytes: number, write: () => T): T {
  try {
    return write()
  } catch (error) {
    throw isDiskFull(error) ? diskFull(path, bytes, error) : error
  }
}

/** Writes a small file of text whole, not atomically; a full disk is told by `withRoom`. */
export function writeSmall(path: string, text: string, flag: 'w' | 'wx' = 'w'): void {
  withRoom(path, Buffer.byteLength(text), () => writeFileSync(path, text, { flag }))
}

export function diskFull(path: string, bytes: number, cause: unknown): RetortError {
  const free = freeBytes(path)
  const left = free === undefined ? '' : `, ${megabytes(free)} are free`
  return failed(`the disk is full: ${path} takes ${megabytes(bytes)}${left}; make room and try again`, cause)
}

/** What of a disk's free room a file at `path` may take; undefined where the system does not say. */
export function freeBytes(path: string): number | undefined {
  let folder = path
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return undefined
  }
}

/** At least a tenth of a megabyte, so that nothing is said to need none. */
export function megabytes(bytes: number): string {
  const mb = bytes / MB
  return `${mb < 10 ? (Math.ceil(mb * 10) / 10).toFixed(1) : Math.ceil(mb)} MB`
}

/** Copies a file; on a full disk says so. */
export function copyFile(from: string, to: string): void {
  withRoom(to, statSync(from).size, () => copyFileSync(from, to))
}

const FLOAT = 4
/** Weights, and AdamW's two moments of each. */
const STATE = 3
/** Of a step in a run's logs. */
const RECORD = 400

/**
 * Bytes that a run's folder takes at most: the checkpoints that are kept, the best one and the newest, the model that
 * its adapters stand beside or that it goes on with, and the logs.
 */
export function runBytes(config: Pick<RunConfig, 'experiment' | 'student' | 'continues'>): number {
  const { experiment, student, continues } = config
  const { train, checkpoint } = experiment
  const { lora } = experiment.student
  const periodic = checkpoint.every ? Math.ceil(train.steps / checkpoint.every) : 1
  const kept = Math.min(checkpoint.keep, periodic) + 1
  const copies = (lora ? 1 : 0) + (continues ? 1 : 0)
  const numbers = kept * STATE * trainedParameters(student, lora) + copies * parameterCount(student)
  return numbers * FLOAT + train.steps * RECORD
}
