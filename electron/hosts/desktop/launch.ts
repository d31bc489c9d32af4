import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { toErrorShape } from '#contract'
import { createServices } from '../../services'
import { defaultDataDir } from '../../store/dataDirectory'
import { exitStatus } from '../cli/session'
import { endOnUncaught, withinTime } from '../lastWords'
import { nodeWorkerLauncher } from '../nodeWorker'
import { startWebHost, writeRedirect } from '../web'

/**
 * `npm start`: the desktop app. Its binary is fetched by Electron's own installer at the first start; where that
 * cannot be had, or there is no display, the same app opens in a browser.
 */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const nodeRequire = createRequire(import.meta.url)
const INSTALL_MS = 10 * 60_000

const dataDir = argument('--data-dir') ?? defaultDataDir()
try {
  build()
  const why = noDisplay() ?? noBinary()
  if (why === undefined) openDesktop()
  else await openWeb(why)
} catch (error) {
  // A data directory in use by another window, say: one line, as on the command line.
  process.stderr.write(`${toErrorShape(error).message}\n`)
  process.exitCode = exitStatus(error)
}

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name)
  return at < 0 ? undefined : process.argv[at + 1] && resolve(process.argv[at + 1]!)
}

/** Builds what is missing or older than its sources. */
function build(): void {
  const built = join(root, 'out', 'renderer', 'index.html')
  const sources = ['electron', 'renderer', 'electron.vite.config.ts', 'package.json'].map((name) =>
    join(root, name),
  )
  if (existsSync(built) && statSync(built).mtimeMs > Math.max(...sources.map(newest))) return
  process.stderr.write('building the app\n')
  const cli = join(dirname(nodeRequire.resolve('electron-vite/package.json')), 'bin', 'electron-vite.js')
  execFileSync(process.execPath, [cli, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
}

function newest(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).mtimeMs
  const inner = readdirSync(path, { recursive: true, withFileTypes: true })
  return Math.max(...inner.filter((e) => e.isFile()).map((e) => statSync(join(e.parentPath, e.name)).mtimeMs))
}

function noDisplay(): string | undefined {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env
  return process.platform === 'linux' && !DISPLAY && !WAYLAND_DISPLAY ? 'there is no display' : undefined
}

/** The binary's place; never `require('electron')`, which would start a download by itself. */
function electronBinary(): string | undefined {
  const folder = dirname(nodeRequire.resolve('electron/package.json'))
  const pathFile = join(folder, 'path.txt')
  if (!existsSync(pathFile)) return undefined
  const binary = join(folder, 'dist', readFileSync(pathFile, 'utf8').trim())
  return existsSync(binary) ? binary : undefined
}

function noBinary(): string | undefined {
  if (electronBinary()) return undefined
  process.stderr.write('fetching Electron (once)\n')
  const installer = join(dirname(nodeRequire.resolve('electron/package.json')), 'install.js')
  const result = spawnSync(process.execPath, [installer], { timeout: INSTALL_MS, encoding: 'utf8' })
  if (electronBinary()) return undefined
  const reason = (result.stderr || result.error?.message || '')
    .split('\n')
    .find((line) => /error/i.test(line))
  return `Electron could not be fetched${reason ? ` (${reason.trim().slice(0, 120)})` : ''}`
}

function openDesktop(): void {
  const child = spawn(electronBinary()!, [join(root, 'out', 'main', 'desktop.js'), '--data-dir', dataDir], {
    stdio: 'inherit',
  })
  child.on('exit', (code) => process.exit(code ?? 1))
}

async function openWeb(why: string): Promise<void> {
  const services = await createServices({ dataDir, spawnWorker: nodeWorkerLauncher(), host: 'web' })
  endOnUncaught(dataDir, () => services.close())
  const host = await startWebHost({ services })
  process.stdout.write(`${why}; the same app is in the browser at ${host.url}\n`)
  const page = noDisplay() === undefined ? writeRedirect(dataDir, host.url) : undefined
  if (page !== undefined) openBrowser(pathToFileURL(page).href)
  const close = () =>
    void withinTime(Promise.all([host.close(), services.close()])).then(() => {
      if (page !== undefined) rmSync(page, { force: true })
      process.exit()
    })
  process.once('SIGINT', close).once('SIGTERM', close)
}

function openBrowser(url: string): void {
  const command = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open'
  spawn(command, [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}
