import { _electron, chromium, expect, test, type Page } from '@playwright/test'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { exportModel, furnish, rail, root, small } from './fixtures'

const bundle = join(root, 'out/main/desktop.js')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Shell {
  page: Page
  said: Record<string, string>
  stop(): Promise<void>
}

/** The real built main bundle, with a double in Electron's place. */
async function startShell(dataDir: string, env: Record<string, string> = {}): Promise<Shell> {
  const port = await freePort()
  const double = join(root, 'e2e/electronDouble/register.ts')
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', '--import', double, bundle, '--data-dir', dataDir],
    {
      cwd: root,
      env: { ...process.env, RETORT_DOUBLE_PORT: String(port), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const said: Record<string, string> = {}
  await new Promise<void>((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const lines = text.split('\n')
      text = lines.pop()!
      for (const line of lines.filter((l) => l.startsWith('{'))) {
        const { what, value } = JSON.parse(line) as { what: string; value: string }
        said[what] = value
        if (what === 'window') resolve()
        if (what === 'error-box') reject(new Error(value))
      }
    })
    child.once('exit', (code) => reject(new Error(`the shell ended with ${code}`)))
  })
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`)
  const page = browser.contexts()[0]!.pages()[0]!
  return {
    page,
    said,
    stop: async () => {
      await browser.close()
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
    },
  }
}

let folder: string
test.beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
test.afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('the shell opens the page, and a run goes through preload, main and a utility process', async () => {
  const dataDir = join(folder, 'data')
  await furnish(dataDir)
  const shell = await startShell(dataDir)
  try {
    const { page, said } = shell
    expect(JSON.parse(said['web-preferences']!)).toEqual({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
    })
    expect(said['window-open']).toBe('deny')
    expect(said.permission).toBe('false')
    expect(said.channels).toBe('retort:call retort:pick-path retort:since')
    expect(said['answered-strangers']).toBe('')
    expect(said['path-userData']).toBe(join(dataDir, 'shell'))
    await page.getByRole('button', { name: 'Run small' }).click()
    await expect(page.getByText('completed', { exact: true })).toBeVisible({ timeout: 90_000 })
    await expect(page.getByRole('region', { name: 'Loss' })).toContainText('step 400')
    const out = join(folder, 'exported')
    await expect((await exportModel(page, 'llama2.c', out)).getByText(`Written to ${out}`)).toBeVisible()
    expect(readFileSync(join(out, 'model.bin')).readInt32LE(0)).toBe(small.student.width)
    await page.keyboard.press('Escape')
    await rail(page, 'Settings').click()
    await expect(page.getByText('Electron’s utility process')).toBeVisible()
    await rail(page, 'Corpora').click()
    await page.getByRole('button', { name: 'Import', exact: true }).click()
    await page.getByRole('button', { name: 'Folder', exact: true }).click()
    await expect(page.getByRole('textbox', { name: 'Path' })).toHaveValue('/chosen')
  } finally {
    await shell.stop()
  }
})

test('when the engine dies in Electron’s process, plain Node takes over and settings say so', async () => {
  const shell = await startShell(join(folder, 'data'), {
    RETORT_DOUBLE_CRASH: '1',
    RETORT_NODE: process.execPath,
  })
  try {
    await rail(shell.page, 'Settings').click()
    await expect(shell.page.getByText('plain Node')).toBeVisible()
    await expect(shell.page.getByText('the engine does not live in Electron’s process here')).toBeVisible()
    await expect(shell.page.getByRole('cell', { name: 'onnx', exact: true })).toBeVisible()
  } finally {
    await shell.stop()
  }
})

/** Electron's own binary, where its installer has fetched it. */
function electronBinary(): string | undefined {
  const home = dirname(createRequire(import.meta.url).resolve('electron/package.json'))
  const pathFile = join(home, 'path.txt')
  const binary = existsSync(pathFile) ? join(home, 'dist', readFileSync(pathFile, 'utf8').trim()) : ''
  return existsSync(binary) ? binary : undefined
}

test('in Electron itself the page opens and the engine is found', async () => {
  const executablePath = electronBinary()
  test.skip(!executablePath, 'SKIPPED: the Electron binary is not installed here; npm start fetches it')
  const electron = await _electron.launch({
    executablePath,
    args: [bundle, '--data-dir', join(folder, 'data')],
  })
  const page = await electron.firstWindow()
  await expect(page.getByRole('heading', { level: 1, name: 'Experiments' })).toBeVisible()
  await rail(page, 'Settings').click()
  await expect(page.getByRole('cell', { name: 'onnx', exact: true })).toBeVisible()
  await electron.close()
})
