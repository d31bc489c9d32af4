import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { takeLock } from '../../store'

it('says in one line that the data directory is in use, and ends', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-launch-'))
  const lock = takeLock(dataDir)
  try {
    const launch = join(import.meta.dirname, 'launch.ts')
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', launch, '--data-dir', dataDir],
      { encoding: 'utf8', env },
    )
    const lines = stderr.trim().split('\n')
    expect(lines.at(-1)).toMatch(
      new RegExp(`^the data directory .* is in use by process ${process.pid} .*choose another`),
    )
    expect(stderr).not.toContain('    at ')
    expect(status).toBe(1)
  } finally {
    lock.release()
    rmSync(dataDir, { recursive: true })
  }
})
