import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { SelfTestResult, Settings } from '#contract'
import type { ServiceOptions, SpawnWorker } from '../../services'
import { performJob } from '../../services/jobs'

export interface WorkerChoice {
  spawnWorker: SpawnWorker
  launcher: NonNullable<ServiceOptions['launcher']>
}

export interface Launchers {
  utility: SpawnWorker
  node: (path: string) => SpawnWorker
  findNode: () => string | undefined
}

/**
 * Where runs are computed. onnxruntime-node is reported to crash in Electron's own Node on some systems
 * (microsoft/onnxruntime issue 29763), so a utility process tries it first; if that dies, plain Node takes over.
 */
export async function chooseWorker(
  setting: Settings['launcher'],
  launchers: Launchers,
): Promise<WorkerChoice> {
  const utility = { spawnWorker: launchers.utility, launcher: { kind: 'utility' as const } }
  const plainNode = (reason: string): WorkerChoice => {
    const node = launchers.findNode()
    if (node)
      return {
        spawnWorker: launchers.node(node),
        launcher: { kind: 'node', reason: `${reason}; using ${node}` },
      }
    const advice = 'no Node was found on PATH or in RETORT_NODE'
    return { ...utility, launcher: { kind: 'utility', reason: `${reason}, and ${advice}` } }
  }
  if (setting === 'utility') return utility
  if (setting === 'node') return plainNode('chosen in settings')
  try {
    await performJob<SelfTestResult>(
      { dataDir: '', threads: () => 1, spawnWorker: launchers.utility },
      { kind: 'self-test' },
    )
    return utility
  } catch (error) {
    return plainNode(`the engine does not live in Electron’s process here (${(error as Error).message})`)
  }
}

/** RETORT_NODE, or the first `node` on PATH that is new enough. */
export function findNode(): string | undefined {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  return [process.env.RETORT_NODE, ...onPath].find((path) => path && existsSync(path) && isNewEnough(path))
}

const OLDEST = 20

function isNewEnough(path: string): boolean {
  try {
    const version = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000 })
    return Number(/^v(\d+)/.exec(version)?.[1]) >= OLDEST
  } catch {
    return false
  }
}
