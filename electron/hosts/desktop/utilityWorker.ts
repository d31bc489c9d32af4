import { utilityProcess } from 'electron'
import type { WorkerEvent } from '#contract'
import type { SpawnWorker, WorkerExit } from '../../services'

const STDERR_KEPT = 4000

/** Starts workers as Electron's utility processes: `worker.js` of the build. */
export function utilityWorkerLauncher(entry: string): SpawnWorker {
  return () => {
    const child = utilityProcess.fork(entry, [], {
      serviceName: 'Retort run',
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-STDERR_KEPT)
    })
    const exited = new Promise<WorkerExit>((resolve) => {
      child.once('exit', (code) => resolve({ code, signal: null, stderr: stderr.trim() }))
    })
    return {
      get pid() {
        return child.pid
      },
      send: (message) => child.postMessage(message),
      onEvent: (listener) => void child.on('message', (event) => listener(event as WorkerEvent)),
      onExit: (listener) => void exited.then(listener),
      // utilityProcess.kill asks politely; a worker that hangs in native code hears nothing but a signal.
      kill: () => void (child.pid ? process.kill(child.pid, 'SIGKILL') : child.kill()),
    }
  }
}
