import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { withRoom } from './room'

/**
 * Writes a file so that a reader, at any moment and after any crash, finds the old content or the new one, never a
 * part: temporary file beside it, fsync, rename, fsync of the folder.
 *
 * @param data of a list the parts one after the other
 * @param mode who may read it, less what the process' umask takes away
 * @throws failed when the disk is full
 */
export function writeFileAtomic(
  path: string,
  data: string | Uint8Array | readonly Uint8Array[],
  mode = 0o666,
): void {
  const parts = typeof data === 'string' ? [Buffer.from(data)] : data instanceof Uint8Array ? [data] : data
  const size = parts.reduce((sum, { length }) => sum + length, 0)
  fillFileAtomic(
    path,
    size,
    (write) => {
      let at = 0
      for (const bytes of parts) {
        write(at, bytes)
        at += bytes.length
      }
    },
    mode,
  )
}

/**
 * The same of a file that is never whole in memory.
 *
 * @param size of the file, in bytes
 * @param fill writes its parts, each at its place
 * @throws as `writeFileAtomic`, and what `fill` throws; then nothing is left
 */
export function fillFileAtomic(
  path: string,
  size: number,
  fill: (write: (at: number, bytes: Uint8Array) => void) => void,
  mode = 0o666,
): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    withRoom(path, size, () => {
      const file = openSync(temporary, 'w', mode)
      try {
        fill((at, bytes) => {
          for (let done = 0; done < bytes.length;)
            done += writeSync(file, bytes, done, bytes.length - done, at + done)
        })
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncFolder(dirname(path))
}

/** Makes renames inside a folder durable. Windows cannot open folders and does not need it. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export function writeJsonAtomic(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`)
}
