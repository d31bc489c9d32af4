import { join, resolve } from 'node:path'
import type { SpawnWorker } from '../services/worker'
import { nodeWorkerLauncher } from './nodeWorker'

/**
 * What `npm run build` has made, for tests: its commands and workers start in a third of the time of the sources, which
 * are translated anew by each process. `vitest` brings it up to date before its first test (`buildFirst.ts`), `npm test`
 * builds before either runner.
 */
const folder = resolve(import.meta.dirname, '../../out/main')

/** The command line's program, for `node`. */
export const commandLine = join(folder, 'cli.js')

/** Starts workers as processes of the build, by `node` if it is given. */
export const builtWorkers = (node?: string): SpawnWorker =>
  nodeWorkerLauncher({ worker: join(folder, 'worker.js'), node })
