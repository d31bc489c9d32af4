import { resolve } from 'node:path'
import { problemsOf, toErrorShape, type Backend, type CELL_STOPPED, type ErrorShape } from '#contract'
import { createServices, type Rooms, type Services } from '../../services'
import { defaultDataDir } from '../../store/dataDirectory'
import { nodeWorkerLauncher } from '../nodeWorker'
import type { TaskControl } from '../../services/jobs'
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

/** Runs a command against the data directory and ends the process with CLI.md's exit status. */
export async function perform(
  options: GlobalOptions,
  access: 'read' | 'write',
  command: (session: Session) => Promise<Outcome>,
): Promise<void> {
  await report(options, async () => {
    const progress = new ProgressLine()
    const services = await createServices({
      dataDir: dataDirOf(options),
      spawnWorker: nodeWorkerLauncher(),
      host: 'cli',
      access,
    })
    services.rooms.context.chosenBackend = options.backend
    const abort = new AbortController()
    const interrupt = () => {
      if (abort.signal.aborted) process.exit(130)
      process.stderr.write('\nstopping; press Ctrl-C again to end at once\n')
      abort.abort()
    }
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
    try {
      return await command({ services, rooms: services.rooms, progress, signal: abort.signal })
    } finally {
      progress.clear()
      await services.close()
    }
  })
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
