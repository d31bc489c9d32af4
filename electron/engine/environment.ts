import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { SCHEMA_VERSION, VERSION, type Environment } from '#contract'
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
