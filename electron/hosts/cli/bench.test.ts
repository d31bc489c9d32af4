import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { commandLine } from '../built'

const root = resolve(import.meta.dirname, '../../..')
let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a bench that is ended by a signal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('leaves no files behind: %s', async (signal) => {
    const args = [commandLine, 'bench', '--part', 'grid', '--config', 'tiny', '--steps', '5000']
    const command = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, TMPDIR: folder },
      stdio: 'ignore',
    })
    const exited = once(command, 'exit')
    const left = () => readdirSync(folder).filter((name) => name.startsWith('retort-bench-'))
    const wait = { timeout: 60_000, interval: 50 }
    // Blocks are being written.
    await vi.waitFor(() => {
      expect(left()).toHaveLength(1)
      expect(readdirSync(join(folder, left()[0]!))).toContain('cache')
    }, wait)
    command.kill(signal)
    expect(await exited).toEqual([null, signal])
    await vi.waitFor(() => expect(left()).toEqual([]), wait)
  })
})

it('a part without the configuration R refuses it in one line', () => {
  const args = [commandLine, 'bench', '--part', 'grid', '--config', 'R']
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect(status).toBe(2)
  expect(stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/grid has no configuration R.*tiny, A, B or C/),
  ])
})
