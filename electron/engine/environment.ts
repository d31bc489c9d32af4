import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { environment, parse, SCHEMA_VERSION, VERSION, type Environment } from '#contract'
import { readJson } from '../files'
import type { BackendInfo } from './backend'

/** What a run is computed with, for `environment.json`. */
export function describeEnvironment(backend: BackendInfo): Environment {
  return {
    schemaVersion: SCHEMA_VERSION,
    retort: VERSION,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    backend: backend.kind,
    backendVersion: backend.version,
    threads: backend.threads,
    gitCommit: gitCommit(),
    startedAt: new Date().toISOString(),
  }
}

/**
 * The threads that a run was computed with before, by its `environment.json`; undefined where that says nothing: there
 * is none, or the backend had no threads.
 *
 * @throws bad-input when the file is not what a run writes
 */
export function threadsSoFar(path: string): number | undefined {
  if (!existsSync(path)) return undefined
  const { backend, threads } = parse(environment, readJson(path), path)
  return backend === 'cpu' ? undefined : threads
}

function gitCommit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 2000,
    }).trim()
  } catch {
    return undefined
  }
}
