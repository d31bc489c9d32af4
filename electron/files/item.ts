import { renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LIBRARY_ROW } from '#contract'
import { syncFolder, writeJsonAtomic } from './atomic'

/**
 * Gives a folder of the library, written whole as `<folder>.tmp`, its name. It says from the first moment what it is, so
 * that a process killed before the catalogue has the row leaves something that the doctor makes a row of.
 */
export function placeItem(folder: string, row: object): void {
  writeJsonAtomic(join(`${folder}.tmp`, LIBRARY_ROW), row)
  rmSync(folder, { recursive: true, force: true })
  renameSync(`${folder}.tmp`, folder)
  syncFolder(dirname(folder))
}
