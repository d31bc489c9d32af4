import { join } from 'node:path'
import { LIBRARY_ROW, parse } from '#contract'
import { readJson } from '../files'
import { rowSchema } from './catalogue'
import { paths, type LibraryNoun } from './dataDirectory'
import { ofAnother } from './folders'

/** The file in a folder of the library that says what it is. */
export const itemRowFile = (dataDir: string, noun: LibraryNoun, id: string) =>
  join(paths.libraryItem(dataDir, noun, id), LIBRARY_ROW)

/**
 * What a folder of the library says that it is.
 *
 * @throws bad-input when it cannot be read, or is another's: the folder was copied or renamed
 */
export function readItemRow(dataDir: string, noun: LibraryNoun, id: string): { id: string; digest: string } {
  const file = itemRowFile(dataDir, noun, id)
  const row = parse(rowSchema(noun), readJson(file), file) as { id: string; digest: string }
  if (row.id !== id) throw ofAnother(row.id, file, id)
  return row
}
