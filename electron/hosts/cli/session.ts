import { resolve } from 'node:path'
import { problemsOf, toErrorShape, type Backend, type CELL_STOPPED, type ErrorShape } from '#contract'
import { createServices, type Rooms, type Services } from '../../services'
import { defaultDataDir } from '../../store/dataDirectory'
import { nodeWorkerLauncher } from '../nodeWorker'
import type { TaskControl } from '../../services/jobs'
import { findOpenHost, type OpenHost } from '../web/openHost'
import { ProgressLine } from './terminal'

/** Options of every command. */
export interface GlobalOptions {
  dataDir?: string
  json?: boolean
  /** Of the commands that compute. */
  backend?: Backend
}

export interface Session {
  services: Services
  rooms: Rooms
  progress: ProgressLine
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
}

/** A command's way to the app that is open. */
export interface Remote extends Pick<Session, 'progress' | 'signal'> {
  host: OpenHost
}

export interface Outcome {
  /** The one object of `--json`. */
  json: unknown
  /** For a person. */
  text: string
  /**
   * 1 when the job ended, but not well; 2 when what lies in the data directory is at fault; a cell that stopped with a
   * checkpoint has a status of its own.
   */
  status?: 1 | 2 | typeof CELL_STOPPED
}

export function dataDirOf(options: GlobalOptions): string {
  return options.dataDir ? resolve(options.dataDir) : defaultDataDir()
}

/**
 * Runs a command against the data directory and ends the process with CLI.md's exit status.
 *
 * @param handedOver does it through the app that is open on the data directory, where one is; without this such a command
 *   is refused while the app is open
 */
export async function perform(
  options: GlobalOptions,
  access: 'read' | 'write',
  command: (session: Session) => Promise<Outcome>,
  handedOver?: (remote: Remote) => Promise<Outcome>,
): Promise<void> {
  await report(options, async () => {
    const progress = new ProgressLine()
    const signal = interrupted()
    const host = handedOver && (await findOpenHost(dataDirOf(options)))
    if (host) return throughHost(host, { progress, signal }, handedOver)
    const services = await createServices({
      dataDir: dataDirOf(options),
      spawnWorker: nodeWorkerLauncher(),
      host: 'cli',
      access,
    })
    services.rooms.context.chosenBackend = options.backend
    try {
      return await command({ services, rooms: services.rooms, progress, signal })
    } finally {
      progress.clear()
      await services.close()
    }
  })
}

/** Aborted by Ctrl-C; pressed again, it ends the process. */
function interrupted(): AbortSignal {
  const abort = new AbortController()
  const interrupt = () => {
    if (abort.signal.aborted) process.exit(130)
    process.stderr.write('\nstopping; press Ctrl-C again to end at once\n')
    abort.abort()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return abort.signal
}

async function throughHost(
  host: OpenHost,
  { progress, signal }: Pick<Session, 'progress' | 'signal'>,
  command: (remote: Remote) => Promise<Outcome>,
): Promise<Outcome> {
  process.stderr.write('the app that is open on this data directory does it\n')
  try {
    return await Promise.race([command({ host, progress, signal }), host.gone])
  } finally {
    progress.clear()
    host.close()
  }
}

/** Prints an outcome, or an error: a line for each thing that is wrong. */
export async function report(options: GlobalOptions, command: () => Promise<Outcome>): Promise<void> {
  try {
    const { json, text, status } = await command()
    await print(options.json ? JSON.stringify(json) : text)
    process.exitCode = status ?? 0
  } catch (error) {
    process.exitCode = exitStatus(error)
    for (const { message } of problemsOf(error)) process.stderr.write(`${message}\n`)
    if (process.env.RETORT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  }
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve()))
}

const BAD_INPUT: readonly ErrorShape['code'][] = ['bad-input', 'not-found']

export function exitStatus(error: unknown): 1 | 2 {
  return BAD_INPUT.includes(toErrorShape(error).code) ? 2 : 1
}

/** A session as what library work is controlled and watched by. */
export function controlOf({ signal, progress }: Session): TaskControl {
  return { signal, progress: (phase, fraction, left) => progress.show(phase, fraction, left) }
}
