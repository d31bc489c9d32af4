import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isDiskFull, writeFileAtomic } from '../files'
import { paths } from './dataDirectory'

/** Copies that are kept. */
const MOST = 3
/** Copies are so far apart in time: a newer one takes the place of one that is younger. */
const APART_MS = 10 * 60_000

export interface GoodCopy {
  file: string
  /** When it was taken. */
  at: Date
}

/**
 * The last catalogues that could be read, in a folder of their own: `000001.json`, `000002.json`, ... They are files of
 * their own and no links, so that what happens to the catalogue's bytes does not happen to theirs.
 */
export class GoodCopies {
  private readonly folder: string
  /** When this process looked last, in milliseconds since the epoch. */
  private lookedAt = -Infinity

  constructor(dataDir: string) {
    this.folder = paths.goodCopies(dataDir)
  }

  /** The newest first, by their numbers: a clock may have been set back. */
  list(): GoodCopy[] {
    if (!existsSync(this.folder)) return []
    return readdirSync(this.folder)
      .filter((name) => /^\d+\.json$/.test(name))
      .sort((a, b) => parseInt(b) - parseInt(a))
      .map((name) => join(this.folder, name))
      .map((file) => ({ file, at: statSync(file).mtime }))
  }

  /** Whether it is time to take one. */
  get due(): boolean {
    return Math.abs(Date.now() - this.lookedAt) >= APART_MS
  }

  /**
   * Takes one, if the newest is another text. A full disk keeps nobody from working: there is none then.
   *
   * @param text of a catalogue that can be read
   */
  keep(text: string): void {
    this.lookedAt = Date.now()
    const copies = this.list()
    const [newest] = copies
    if (newest && readFileSync(newest.file, 'utf8') === text) return
    const age = newest ? Date.now() - newest.at.getTime() : Infinity
    if (!this.write(text, newest)) return
    const fresh = age >= 0 && age < APART_MS
    for (const { file } of fresh ? [newest!, ...copies.slice(MOST)] : copies.slice(MOST - 1)) rmSync(file)
  }

  /** Takes one and removes all earlier ones. */
  renew(text: string): void {
    const copies = this.list()
    if (!this.write(text, copies[0])) return
    for (const { file } of copies) rmSync(file)
  }

  /** Behind the newest; false when the disk is full. */
  private write(text: string, newest: GoodCopy | undefined): boolean {
    const number = newest ? parseInt(newest.file.slice(this.folder.length + 1)) + 1 : 1
    try {
      writeFileAtomic(join(this.folder, `${String(number).padStart(6, '0')}.json`), text)
      return true
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return false
    }
  }
}
