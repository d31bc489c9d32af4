import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, type BinNoun, type RetortError } from '#contract'
import { libraryNouns, paths } from './dataDirectory'

/** Names of the folders in a folder, but for hidden and temporary ones; none where there is no such folder. */
export function folderNames(path: string): string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && !name.endsWith('.tmp'))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
}

/** Names of the files in a folder, but for hidden and temporary ones. */
export function fileNames(path: string): string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && !entry.name.endsWith('.tmp'))
    .map(({ name }) => name)
    .sort()
}

/** Refuses a folder's own word of what it is, where its name says otherwise: two would go by one id. */
export function ofAnother(found: string, file: string, id: string): RetortError {
  return badInput(`it is of "${found}": its folder was copied or renamed`, {
    file,
    field: 'id',
    expected: `"${id}"`,
  })
}

/** Whether a data directory has runs or a library: then it has had a catalogue. */
export function isInhabited(dataDir: string): boolean {
  const shelves = [paths.runs(dataDir), ...libraryNouns.map((noun) => paths.library(dataDir, noun))]
  return shelves.some((shelf) => folderNames(shelf).length > 0)
}

/** Says of a thing whether it was removed and lies in the bin. */
export function binLookup(dataDir: string): (noun: string, id: string) => boolean {
  const bin = paths.bin(dataDir)
  const names = new Set(folderNames(bin).filter((name) => existsSync(join(bin, name, BIN_ENTRY))))
  return (noun, id) => names.has(binName(noun as BinNoun, id))
}

/** A thing's folder in the bin; `entry.json` in it holds its row. */
export const binName = (noun: BinNoun, id: string) => `${noun}-${id}`
export const BIN_ENTRY = 'entry.json'

/** Bytes of a file, or of all in a folder; 0 of what is not there. */
export function sizeOnDisk(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat?.isDirectory()) return stat?.size ?? 0
  return readdirSync(path).reduce((sum, name) => sum + sizeOnDisk(join(path, name)), 0)
}
