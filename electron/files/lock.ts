import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { randomBytes } from 'node:crypto'
import { writeSmall } from './room'

export interface Holder {
  pid: number
  /** Of the machine's present run, where it has one (Linux). */
  boot?: string
  /** When the process began, in the machine's ticks since its start (Linux): its id may be another's later. */
  started?: string
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
 * The file comes with its content at once (a link to one already written), so that nobody finds it empty. Of several
 * that find the same left-over only the one with the claim to it, a file named after the left-over's nonce, may replace
 * it: what it then reads under the lock's name cannot be replaced by anybody else.
 *
 * @returns who holds it, when it is held already
 */
export function takeFileLock(file: string): Lock | Holder {
  mkdirSync(dirname(file), { recursive: true })
  const own: Holder = {
    pid: process.pid,
    ...lifeOf(process.pid),
    host: hostname(),
    since: new Date().toISOString(),
    nonce: randomBytes(8).toString('hex'),
  }
  let last = own
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (place(file, own)) return hold(file, own)
    const holder = readHolder(file)
    if (holder && !isLeftBehind(file, holder)) return holder
    last = holder ?? last
    if (takeOver(file, holder, own)) return hold(file, own)
  }
  return last
}

/** Puts a lock with its content under a name that is free. False: it is not. */
function place(file: string, own: Holder): boolean {
  const ready = `${file}.${own.nonce}`
  try {
    writeSmall(ready, JSON.stringify(own))
    linkSync(ready, file)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // A file system without hard links.
    if (code && ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code))
      return writeNew(file, own)
    throw error
  } finally {
    rmSync(ready, { force: true })
  }
}

function writeNew(file: string, own: Holder): boolean {
  try {
    writeSmall(file, JSON.stringify(own), 'wx')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Replaces a left-over by the own lock. False: somebody else is at it, or has done it. */
function takeOver(file: string, left: Holder | undefined, own: Holder): boolean {
  const claim = `${file}.claim-${left?.nonce ?? 'unreadable'}`
  if (!place(claim, own)) {
    const claimant = readHolder(claim)
    if (!claimant || isLeftBehind(claim, claimant)) rmSync(claim, { force: true })
    return false
  }
  try {
    if (!existsSync(file) || readHolder(file)?.nonce !== left?.nonce) return false
    const ready = `${file}.${own.nonce}`
    writeSmall(ready, JSON.stringify(own))
    renameSync(ready, file)
    return true
  } finally {
    rmSync(claim, { force: true })
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

/** Who left a lock file behind, for a person to read; undefined where it is held, or there is none. */
export function leftLock(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  const holder = readHolder(file)
  if (!holder) return 'a process that died over it'
  return isLeftBehind(file, holder)
    ? `process ${holder.pid} on ${holder.host}, since ${holder.since}`
    : undefined
}

/** Who holds a lock file; undefined where nobody does, or not any more. */
export function lockHolder(file: string): Holder | undefined {
  const holder = readHolder(file)
  return holder && !isLeftBehind(file, holder) ? holder : undefined
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
  if (holder.host === hostname()) return !isSameProcess(holder)
  try {
    const age = Date.now() - statSync(file).mtimeMs
    // Of a clock that goes ahead nothing is known but whether it still ticks.
    if (age < -STALE_MS) return !beats(file)
    return age > STALE_MS
  } catch {
    return true
  }
}

/** Whether a lock's holder touches it within two heartbeats and a half. */
function beats(file: string): boolean {
  const before = statSync(file).mtimeMs
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2.5 * HEARTBEAT_MS)
  return statSync(file).mtimeMs !== before
}

/** Which life of the machine and of the process an id belongs to; empty where the system does not say. */
function lifeOf(pid: number): Pick<Holder, 'boot' | 'started'> {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The 22nd field; the second is a name in brackets that may hold blanks.
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return { boot, started }
  } catch {
    return {}
  }
}

/** A process as it is written down, for `livesStill` to find it again. */
export function noteProcess(pid: number): string {
  const { boot = '', started = '' } = lifeOf(pid)
  return `${pid}\n${boot} ${started}\n`
}

/** Whether a process that `noteProcess` wrote down is alive. */
export function livesStill(note: string): boolean {
  const [pid, life = ''] = note.split('\n')
  const [boot, started] = life.split(' ')
  return isSameProcess({ pid: Number(pid), boot, started })
}

/** Whether the very process lives, and not another one that was given its id. */
function isSameProcess({ pid, boot, started }: Pick<Holder, 'pid' | 'boot' | 'started'>): boolean {
  if (!isAlive(pid)) return false
  const now = lifeOf(pid)
  if (boot && now.boot && boot !== now.boot) return false
  return !started || !now.started || started === now.started
}

/** A process that has ended but was not yet waited for (a zombie, as in containers without an init) is not alive. */
function isAlive(pid: number): boolean {
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
