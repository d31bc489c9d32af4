import { expect, test } from '@playwright/test'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Recorded } from './electronDouble/recorder'
import { root } from './fixtures'

/**
 * Electron's own security checklist, by its numbers, against the built main bundle: what it sets up is written down by a
 * double. Not walked here: 16 (the version is pinned in package.json) and 19 (fuses are set when an app is packed).
 */
let recorded: Recorded
const main = join(root, 'out/main/desktop.js')
const preload = join(root, 'out/preload/index.cjs')

test.beforeAll(() => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  const double = join(root, 'e2e/electronDouble/register.ts')
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--import', double, main, '--data-dir', dataDir],
    { cwd: root, encoding: 'utf8', env: { ...process.env, RETORT_DOUBLE_RECORDS: '1' }, timeout: 60_000 },
  )
  rmSync(dataDir, { recursive: true, force: true })
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (!line) throw new Error(`the shell said nothing: ${stderr}`)
  recorded = JSON.parse(line) as Recorded
})

test('1, 18: the page comes from the app itself, by a scheme of its own that is no more than secure', () => {
  expect(recorded.loaded).toEqual(['app://retort/index.html'])
  expect(recorded.schemes).toEqual(['app'])
  expect(recorded.privileges).toEqual([
    { scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ])
  const { 'app://retort/index.html': page, ...others } = recorded.answers
  expect(page!.status).toBe(200)
  for (const [url, { status }] of Object.entries(others)) expect([url, status >= 400]).toEqual([url, true])
})

test('2, 3, 4, 6, 8, 9, 10: the page is sandboxed and isolated, and nothing of the web’s own guard is taken away', () => {
  expect(recorded.preferences).toHaveLength(1)
  const { preload: _, ...preferences } = recorded.preferences[0]!
  // All others are as Electron has them by default, which is safe.
  expect(preferences).toEqual({ sandbox: true, contextIsolation: true, nodeIntegration: false })
})

test('5: no permission is given, neither when asked for nor when looked at', () => {
  expect(Object.keys(recorded.permissions).length).toBeGreaterThan(5)
  for (const [name, given] of Object.entries(recorded.permissions))
    expect([name, given]).toEqual([name, [false, false]])
})

test('7: a content security policy stands on the page, without inline or evaluated scripts', () => {
  const policy = recorded.answers['app://retort/index.html']!.headers['content-security-policy']!
  expect(policy).toMatch(/default-src '(none|self)'/)
  const scripts = /script-src ([^;]*)/.exec(policy)?.[1] ?? ''
  expect(scripts).not.toMatch(/unsafe-inline|unsafe-eval|https?:|\*|data:/)
  expect(policy).toMatch(/object-src 'none'|default-src 'none'/)
})

test('11, 12: no webview is attached', () => {
  expect(recorded.webviews).toBe(false)
})

test('13: the page goes nowhere else', () => {
  for (const [url, let_] of Object.entries(recorded.navigations)) {
    const own = url === 'app://retort/index.html'
    expect([url, let_]).toEqual([url, [own, own]])
  }
})

test('14, 15: no window is opened, and nothing but https: outside', () => {
  const opened = Object.entries(recorded.windows)
  expect(opened.length).toBeGreaterThan(5)
  for (const [url, { action, outside }] of opened) {
    expect([url, action]).toEqual([url, 'deny'])
    expect([url, outside]).toEqual([url, url.startsWith('https://') ? [url] : []])
  }
})

test('17: every channel hears the main frame of the page alone', () => {
  expect(Object.keys(recorded.answered).length).toBeGreaterThan(2)
  for (const [channel, strangers] of Object.entries(recorded.answered))
    expect([channel, strangers]).toEqual([channel, []])
})

test('20: the page is given four functions, and nothing of Electron', () => {
  const given: Record<string, unknown> = {}
  const electron = {
    contextBridge: { exposeInMainWorld: (name: string, value: unknown) => void (given[name] = value) },
    ipcRenderer: { invoke: () => {}, on: () => {}, off: () => {} },
  }
  const run = new Function('require', 'module', 'exports', readFileSync(preload, 'utf8'))
  run((name: string) => (name === 'electron' ? electron : undefined), { exports: {} }, {})
  expect(Object.keys(given)).toEqual(['retort'])
  const bridge = given['retort'] as Record<string, unknown>
  expect(Object.keys(bridge).sort()).toEqual(['call', 'onPush', 'pickPath', 'since'])
  for (const value of Object.values(bridge)) expect(typeof value).toBe('function')
})

test('one instance of a data directory', () => {
  expect(recorded.instanceLock).toBe(true)
})
