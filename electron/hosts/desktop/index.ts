import { app, BrowserWindow, dialog, Menu, net, protocol } from 'electron'
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ipcChannels, toErrorShape, type CallResult, type MethodName, type Settings } from '#contract'
import { writeJsonAtomic } from '../../files'
import { createServices, type Services } from '../../services'
import { Catalogue, defaultDataDir } from '../../store'
import { endOnUncaught, withinTime } from '../lastWords'
import { nodeWorkerLauncher } from '../nodeWorker'
import { startWebHost } from '../web'
import { builtPage, contentType, locatePageFile, SECURITY_HEADERS } from '../pageFiles'
import { answer, ORIGIN } from './page'
import { lockDown } from './security'
import { utilityWorkerLauncher } from './utilityWorker'
import { chooseWorker, findNode } from './workerChoice'

const here = dirname(fileURLToPath(import.meta.url))

let window: BrowserWindow | undefined
let services: Services | undefined

protocol.registerSchemesAsPrivileged([
  { scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } },
])
// One instance a data directory: Electron's lock lies with its own files.
if (process.argv.includes('--data-dir')) app.setPath('userData', join(dataDirectory(), 'shell'))
if (app.requestSingleInstanceLock()) void start()
else app.quit()

async function start(): Promise<void> {
  app.on('second-instance', () => {
    if (window?.isMinimized()) window.restore()
    window?.focus()
  })
  app.on('window-all-closed', () => app.quit())
  app.on('before-quit', closeFirst)
  await app.whenReady()
  lockDown(app, ORIGIN)
  serveThePage()
  const dataDir = dataDirectory()
  try {
    const choice = await chooseWorker(launcherSetting(dataDir), {
      utility: utilityWorkerLauncher(join(here, 'worker.js')),
      node: (path) => nodeWorkerLauncher({ node: path }),
      findNode,
    })
    services = await createServices({ dataDir, host: 'desktop', ...choice })
  } catch (error) {
    dialog.showErrorBox('Retort cannot start', toErrorShape(error).message)
    app.exit(1)
    return
  }
  endOnUncaught(dataDir, async () => services?.close())
  connect(services)
  await hearCommands(services)
  openWindow(dataDir)
}

/** Lets `retort` in a terminal hand its work to this app; without a port it says that the directory is in use. */
async function hearCommands(opened: Services): Promise<void> {
  try {
    await startWebHost({ services: opened })
  } catch (error) {
    console.error(toErrorShape(error).message)
  }
}

function dataDirectory(): string {
  const at = process.argv.indexOf('--data-dir')
  const given = at < 0 ? undefined : process.argv[at + 1]
  return given ? resolve(given) : defaultDataDir()
}

/** Read before the services open the catalogue: they are given the launcher. */
function launcherSetting(dataDir: string): Settings['launcher'] {
  return new Catalogue(dataDir, 'read').data.settings.launcher
}

function serveThePage(): void {
  const page = builtPage()
  protocol.handle('app', async (request) => {
    const { host, pathname } = new URL(request.url)
    const file = host === 'retort' ? await locatePageFile(page, pathname) : undefined
    if (!file) return new Response('not found', { status: 404 })
    const { body } = await net.fetch(pathToFileURL(file).href)
    return new Response(body, { headers: { ...SECURITY_HEADERS, 'Content-Type': contentType(file) } })
  })
}

function connect(opened: Services): void {
  answer(ipcChannels.call, async (name: MethodName, params: unknown): Promise<CallResult> => {
    try {
      return { ok: true, result: await opened.call(name, params as never) }
    } catch (error) {
      return { ok: false, error: toErrorShape(error) }
    }
  })
  answer(ipcChannels.since, (seq: number) => {
    const pushes = opened.since(seq)
    return pushes ? { pushes } : { lost: true }
  })
  answer(ipcChannels.pickPath, async (kind: 'file' | 'folder') => {
    const properties = kind === 'folder' ? (['openDirectory'] as const) : (['openFile'] as const)
    const { filePaths } = await dialog.showOpenDialog(window!, { properties: [...properties] })
    return filePaths[0]
  })
  opened.onPush((seq, push) => {
    if (window && !window.isDestroyed()) window.webContents.send(ipcChannels.push, { seq, push })
  })
}

interface Bounds {
  width: number
  height: number
  x?: number
  y?: number
}

function openWindow(dataDir: string): void {
  const file = join(dataDir, 'window.json')
  window = new BrowserWindow({
    ...lastBounds(file),
    minWidth: 960,
    minHeight: 600,
    title: 'Retort',
    show: false,
    webPreferences: {
      preload: join(here, '..', 'preload', 'index.cjs'),
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
    },
  })
  window.once('ready-to-show', () => window?.show())
  window.on('close', () => keepBounds(file, window!.getBounds()))
  window.webContents.on('render-process-gone', (_event, { reason }) => pageGone(reason))
  window.on('closed', () => (window = undefined))
  Menu.setApplicationMenu(
    Menu.buildFromTemplate([
      ...(process.platform === 'darwin' ? [{ role: 'appMenu' as const }] : []),
      { role: 'fileMenu' },
      { role: 'editMenu' },
      { role: 'viewMenu' },
      { role: 'windowMenu' },
    ]),
  )
  void window.loadURL(`${ORIGIN}/index.html`)
}

function lastBounds(file: string): Bounds {
  try {
    const { width, height, x, y } = JSON.parse(readFileSync(file, 'utf8')) as Bounds
    if (width > 0 && height > 0) return { width, height, x, y }
  } catch {
    // The first start, or a file that was cut off.
  }
  return { width: 1280, height: 800 }
}

/** A full or read-only disk does not keep a window from closing. */
function keepBounds(file: string, bounds: Bounds): void {
  try {
    writeJsonAtomic(file, bounds)
  } catch {
    // The next start opens with the size of the first.
  }
}

let lastGone = 0

/** The page's process died: the runs go on, the page is opened anew; one that dies again at once is left to the user. */
function pageGone(reason: string): void {
  if (reason === 'clean-exit' || !window || window.isDestroyed()) return
  const again = Date.now() - lastGone < 10_000
  lastGone = Date.now()
  if (again)
    dialog.showErrorBox('The page has ended', `${reason}; runs go on. Close the window and open it again.`)
  else window.webContents.reload()
}

let closed = false

/** Runs make a checkpoint before the app ends. */
function closeFirst(event: Electron.Event): void {
  if (closed || !services) return
  event.preventDefault()
  void withinTime(services.close()).finally(() => {
    closed = true
    app.quit()
  })
}
