import { spawn } from 'node:child_process'
import { failed, type ClusterProfile } from '#contract'
import { quoteAll } from './quote'

export interface Answer {
  status: number
  stdout: string
  stderr: string
}

/** A login host that does not answer must not hold the app. */
const PATIENCE_MS = 60_000

/** What `ssh` ends with when it has not come through, and `rsync` with it. */
export const UNREACHABLE = 255

/**
 * After the profile's own, which win. BatchMode: a question for a password would wait for ever where nobody sees it. The
 * others: a host that hangs is given up, before the connection and within it.
 */
export const SSH_OPTIONS = [
  'BatchMode=yes',
  'ConnectTimeout=10',
  'ServerAliveInterval=10',
  'ServerAliveCountMax=3',
].flatMap((option) => ['-o', option])

export function unreachable(host: string, said: string): Error {
  return failed(`cannot reach ${host} by ssh: ${said || 'no reason given'}`)
}

/** Runs a command where Slurm's commands are: here, or on the login host through the system's `ssh`. */
export class Login {
  constructor(readonly profile: Pick<ClusterProfile, 'host' | 'ssh'>) {}

  /**
   * @param words the command and its arguments, each taken literally on either side
   * @throws failed when the command cannot be started or the login host cannot be reached
   */
  async ask(words: readonly string[], input = ''): Promise<Answer> {
    const { host, ssh } = this.profile
    const line = host ? [...ssh, ...SSH_OPTIONS, '-T', host, '--', quoteAll(words)] : words
    const answer = await run(line, input)
    if (host && answer.status === UNREACHABLE) throw unreachable(host, lastLine(answer.stderr))
    return answer
  }

  /** As `ask`, for a command that must succeed. Resolves to its standard output. */
  async demand(words: readonly string[], input = ''): Promise<string> {
    const { status, stdout, stderr } = await this.ask(words, input)
    if (status !== 0)
      throw failed(`${words[0]} failed (exit status ${status}): ${lastLine(stderr || stdout)}`)
    return stdout
  }
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

/** Runs a program; a rejection says that it could not be started, or did not end in time. */
export async function run(
  [program, ...args]: readonly string[],
  input = '',
  patience = PATIENCE_MS,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: 'pipe', timeout: patience, killSignal: 'SIGKILL' })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', (error) => reject(failed(`cannot start ${program}: ${error.message}`)))
    child.once('close', (status, signal) => {
      if (signal) reject(failed(`${program} did not answer within ${Math.round(patience / 1000)} s`))
      else resolve({ status: status ?? 1, stdout, stderr })
    })
    // A program that ends without reading its input closes the pipe first.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
