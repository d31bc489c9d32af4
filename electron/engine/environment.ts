import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { SCHEMA_VERSION, type Environment } from '#contract'
import type { BackendInfo } from './backend'

/** What a run is computed with, for `environment.json`. */
export function describeEnvironment(backend: BackendInfo): Environment {
  return {
    schemaVersion: SCHEMA_VERSION,
    retort: version(),
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

/** The version in package.json, looked for from this module upwards (source and build lie at different depths). */
function version(): string {
  for (const up of ['../../', '../../../']) {
    try {
      const file = readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')
      return (JSON.parse(file) as { version: string }).version
    } catch {
      continue
    }
  }
  return 'unknown'
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
