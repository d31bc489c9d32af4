import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { WorkerEvent } from '#contract'
import type { SpawnWorker, WorkerExit } from '../services/worker'

/** How much of a worker's standard error is kept to explain its death. */
const STDERR_KEPT = 4000

/**
 * Starts workers as plain Node processes: from the built `worker.js` beside this module, or from source through tsx
 * when this module itself runs from source.
 *
 * @param options.worker the built worker to run instead
 * @param options.node the Node to run, default the one that runs this
 */
export function nodeWorkerLauncher(options: { worker?: string; node?: string } = {}): SpawnWorker {
  const fromSource = !options.worker && import.meta.url.endsWith('.ts')
  const beside = fromSource ? '../engine/worker.ts' : './worker.js'
  const entry = options.worker ?? fileURLToPath(new URL(beside, import.meta.url))
  const execArgv = fromSource ? ['--import', import.meta.resolve('tsx')] : []
  return () => {
    const child = fork(entry, [], {
      execArgv,
      execPath: options.node ?? process.execPath,
      env: { ...process.env, GLIBC_TUNABLES: withHugePages(process.env.GLIBC_TUNABLES) },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // A group of its own: Ctrl-C reaches the host alone, which asks its workers to stop with a checkpoint.
      detached: process.platform !== 'win32',
    })
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT)
    })
    const exited = new Promise<WorkerExit>((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, stderr: error.message }))
      child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr.trim() }))
    })
    return {
      pid: child.pid,
      // A worker that has just died cannot hear; its exit tells the rest.
      send: (message) => void (child.connected && child.send(message, () => {})),
      onEvent: (listener) => void child.on('message', (event) => listener(event as WorkerEvent)),
      onExit: (listener) => void exited.then(listener),
      kill: () => void child.kill('SIGKILL'),
    }
  }
}

/**
 * Asks glibc for memory in huge pages where the system leaves the choice to programs (as most Linux systems do): the
 * weights and activations of a step span tens of thousands of small ones. Other systems do not know the variable.
 */
function withHugePages(tunables = ''): string {
  const name = 'glibc.malloc.hugetlb'
  return tunables.includes(name) ? tunables : [tunables, `${name}=1`].filter(Boolean).join(':')
}
