import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { livesStill, noteProcess, writeFileAtomic, writeSmall } from '../../files'

/** Where writers of this machine have their files: those of another cannot be asked whether they live. */
export const baseOf = (path: string) => `${path}.${hostname()}.`

/** A name that nobody has. The note is there before the file, and says who writes. */
export function freeBase(path: string): string {
  for (let i = 0; ; i++) {
    const base = `${baseOf(path)}${i}`
    try {
      writeSmall(`${base}.note`, noteProcess(process.pid), 'wx')
      return base
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** The files of a process of this machine that is gone; of several that ask, whoever makes the claim has them. */
export function takeLeftOver(path: string): string | undefined {
  const name = basename(baseOf(path))
  const notes = readdirSync(dirname(path)).filter((file) => file.startsWith(name) && file.endsWith('.note'))
  const isLeft = (base: string) => {
    const note = read(`${base}.note`)
    return note !== undefined && !livesStill(note)
  }
  for (const note of notes) {
    const base = join(dirname(path), note.slice(0, -'.note'.length))
    if (!isLeft(base)) continue
    try {
      writeSmall(`${base}.claim`, '', 'wx')
    } catch {
      continue
    }
    // Another may have been here since it was asked.
    const left = isLeft(base)
    if (left) writeFileAtomic(`${base}.note`, noteProcess(process.pid))
    rmSync(`${base}.claim`)
    if (left) return base
  }
  return undefined
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
