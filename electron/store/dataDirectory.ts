import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** The platform's application-data folder, or `RETORT_DATA_DIR`. */
export function defaultDataDir(): string {
  if (process.env.RETORT_DATA_DIR) return resolve(process.env.RETORT_DATA_DIR)
  if (process.platform === 'win32') return join(process.env.APPDATA ?? homedir(), 'Retort')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'Retort')
  return join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'retort')
}

/** Everything that lies below a data directory. */
export const paths = {
  catalogue: (dataDir: string) => join(dataDir, 'catalogue.json'),
  /** Its last good copies. */
  goodCopies: (dataDir: string) => join(dataDir, 'catalogue.good'),
  /** Where the web host is found, and by what token: for its user alone. */
  webHost: (dataDir: string) => join(dataDir, 'web.json'),
  /** Sends a browser to the web host: for its user alone. */
  webRedirect: (dataDir: string) => join(dataDir, 'open.html'),
  lock: (dataDir: string) => join(dataDir, 'lock.json'),
  runs: (dataDir: string) => join(dataDir, 'runs'),
  run: (dataDir: string, id: string) => join(dataDir, 'runs', id),
  /** Held by `retort cell` while it computes the run. */
  cellLock: (dataDir: string, id: string) => join(dataDir, 'runs', id, 'cell.lock'),
  clusters: (dataDir: string) => join(dataDir, 'clusters'),
  submissions: (dataDir: string) => join(dataDir, 'submissions'),
  /** Speeds of runs one at a time and two at once, by their size. */
  sideBySide: (dataDir: string) => join(dataDir, 'side-by-side.json'),
  reports: (dataDir: string) => join(dataDir, 'reports'),
  bin: (dataDir: string) => join(dataDir, 'bin'),
  library: (dataDir: string, noun: LibraryNoun) => join(dataDir, 'library', noun),
  libraryItem: (dataDir: string, noun: LibraryNoun, id: string) => join(dataDir, 'library', noun, id),
}

export const libraryNouns = ['corpora', 'tokenizers', 'teachers'] as const
export type LibraryNoun = (typeof libraryNouns)[number]
