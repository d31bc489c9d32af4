import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const program = `
import { detectBackends } from ${JSON.stringify(join(root, 'electron/engine/backend/index.ts'))}
console.log((await detectBackends()).find(({ name }) => name === 'onnx').available)
`

it('the runtime writes nothing below the home directory and tells nobody what it is used for', () => {
  const home = mkdtempSync(join(tmpdir(), 'retort-home-'))
  const { ORT_DISABLE_TELEMETRY: _, ...inherited } = process.env
  const env = { ...inherited, HOME: home, XDG_CACHE_HOME: join(home, '.cache'), TMPDIR: home }
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', program]
  try {
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' })
    expect(stdout.trim(), stderr).toBe('true')
    // tsx keeps what it has compiled in the folder for temporary files.
    expect(readdirSync(home).filter((name) => !name.startsWith('tsx-'))).toEqual([])
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
