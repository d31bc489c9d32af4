import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { randomBytes } from 'node:crypto'

export interface Holder {
  pid: number
  host: string
  since: string
  nonce: string
}

const HEARTBEAT_MS = 5_000
/** On a shared file system the other machine's process cannot be asked: its lock counts as left behind after this. */
const STALE_MS = 60_000
const ATTEMPTS = 5

export interface Lock {
  release(): void
}

/**
 * Takes a lock file: one holder at a time, over all processes and machines that see the file. A lock left behind by a
 * process that is gone is taken over.
 *
 * @returns who holds it, when it is held already
 */
export function takeFileLock(file: string): Lock | Holder {
  mkdirSync(dirname(file), { recursive: true })
  const own: Holder = {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    nonce: randomBytes(8).toString('hex'),
  }
  let last = own
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      writeFileSync(file, JSON.stringify(own), { flag: 'wx' })
      return hold(file, own)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = readHolder(file)
    if (holder && !isLeftBehind(file, holder)) return holder
    last = holder ?? last
    discard(file, own.nonce)
  }
  return last
}

/** Renamed before it is removed: of two that find the same left-over only one succeeds. */
function discard(file: string, nonce: string): void {
  const aside = `${file}.${nonce}`
  try {
    renameSync(file, aside)
    rmSync(aside, { force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function hold(file: string, own: Holder): Lock {
  const beat = setInterval(() => {
    try {
      utimesSync(file, new Date(), new Date())
    } catch {
      // The folder has gone; the next write to the catalogue says so.
    }
  }, HEARTBEAT_MS)
  beat.unref()
  let held = true
  const release = () => {
    if (!held) return
    held = false
    clearInterval(beat)
    process.off('exit', release)
    if (readHolder(file)?.nonce === own.nonce) rmSync(file, { force: true })
  }
  process.on('exit', release)
  return { release }
}

/** Undefined when there is none, or when its writer died half-way. */
function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

function isLeftBehind(file: string, holder: Holder): boolean {
  if (holder.host === hostname()) return !isAlive(holder.pid)
  try {
    return Date.now() - statSync(file).mtimeMs > STALE_MS
  } catch {
    return true
  }
}

/** A process that has ended but was not yet waited for (a zombie, as in containers without an init) is not alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return true
  }
}
