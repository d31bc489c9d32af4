import { fork, type ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from '@playwright/test'
import type Electron from 'electron'

/**
 * A small double of Electron's main-process API, enough to run the real built main bundle without Electron: a window
 * is a page of Chromium, the real preload script runs in it, a utility process is a child of Node. It proves wiring,
 * the shapes on the channels and the handlers; it does not prove the sandbox, context isolation or natives.
 */
interface Frame {
  url: string
  parent: Frame | null
}
type Handler = (event: { senderFrame: Frame | null }, ...args: never[]) => unknown

class App extends EventEmitter {
  whenReady = () => Promise.resolve()
  requestSingleInstanceLock = () => true
  setPath = (name: string, path: string) => report(`path-${name}`, path)
  quit(): void {
    let prevented = false
    this.emit('before-quit', { preventDefault: () => (prevented = true) })
    if (!prevented) process.exit(0)
  }
  exit = (code = 0) => process.exit(code)
}

export const app = new App()
export const shell = { openExternal: (url: string) => report('open-external', url) }
export const Menu = { setApplicationMenu: () => {}, buildFromTemplate: (template: unknown) => template }
export const dialog = {
  showErrorBox: (title: string, content: string) => report('error-box', `${title}: ${content}`),
  showOpenDialog: () => Promise.resolve({ canceled: false, filePaths: ['/chosen'] }),
}
export const session = {
  defaultSession: {
    setPermissionRequestHandler: (ask: (c: unknown, p: string, answer: (given: boolean) => void) => void) =>
      ask(undefined, 'media', (given) => report('permission', String(given))),
    setPermissionCheckHandler: () => {},
  },
}

const handlers = new Map<string, Handler>()
export const ipcMain = { handle: (channel: string, handler: Handler) => void handlers.set(channel, handler) }

let respond: (request: Request) => Promise<Response> | Response = () => new Response('', { status: 500 })
export const protocol = {
  registerSchemesAsPrivileged: () => {},
  handle: (_scheme: string, handler: typeof respond) => void (respond = handler),
}
export const net = {
  fetch: (url: string) => Promise.resolve(new Response(readFileSync(fileURLToPath(url)))),
}

/** What the test looks for on standard output. */
function report(what: string, value: string): void {
  process.stdout.write(`${JSON.stringify({ what, value })}\n`)
}

const ORIGIN = 'app://retort'

/** The `app:` scheme as Chromium can load it: the handler's answers over HTTP. */
async function serveProtocol(): Promise<string> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const reply = await respond(new Request(`${ORIGIN}${request.url}`))
    response.writeHead(reply.status, Object.fromEntries(reply.headers))
    response.end(Buffer.from(await reply.arrayBuffer()))
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

class WebContents extends EventEmitter {
  page: Promise<Page> | undefined
  windowOpenHandler: ((details: { url: string }) => { action: string }) | undefined
  setWindowOpenHandler(handler: typeof this.windowOpenHandler): void {
    this.windowOpenHandler = handler
    report('window-open', handler!({ url: 'https://example.org/' }).action)
  }
  send(channel: string, message: unknown): void {
    const deliver = ([name, value]: [string, unknown]) =>
      (globalThis as unknown as { __deliver: (c: string, m: unknown) => void }).__deliver(name, value)
    void this.page
      ?.then((page) => page.evaluate(deliver, [channel, message] as [string, unknown]))
      .catch(() => {})
  }
}

export class BrowserWindow extends EventEmitter {
  readonly webContents = new WebContents()
  constructor(private readonly options: Electron.BrowserWindowConstructorOptions) {
    super()
    const { sandbox, contextIsolation, nodeIntegration } = options.webPreferences ?? {}
    report('web-preferences', JSON.stringify({ sandbox, contextIsolation, nodeIntegration }))
    app.emit('web-contents-created', {}, this.webContents)
  }
  show = () => {}
  focus = () => {}
  restore = () => {}
  isMinimized = () => false
  isDestroyed = () => false
  getBounds = () => ({ x: 0, y: 0, width: 1280, height: 800 })
  async loadURL(url: string): Promise<void> {
    const base = await serveProtocol()
    this.webContents.page = this.open(url.replace(ORIGIN, base), base)
    await this.webContents.page
    this.emit('ready-to-show')
  }

  private async open(url: string, base: string): Promise<Page> {
    const port = process.env.RETORT_DOUBLE_PORT!
    const browser = await chromium.launch({
      executablePath: process.env.RETORT_E2E_BROWSER || undefined,
      args: [`--remote-debugging-port=${port}`, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
    })
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    await page.exposeFunction('__invoke', (channel: string, args: never[]) => {
      const senderFrame = { url: page.url().replace(base, ORIGIN), parent: null }
      return handlers.get(channel)!({ senderFrame }, ...args)
    })
    await refuseStrangers()
    const preload = readFileSync(this.options.webPreferences!.preload!, 'utf8')
    await page.addInitScript({ content: preloadScript(preload) })
    await page.goto(url)
    report('window', url)
    return page
  }
}

/** Every channel is asked by frames that are not the page: of another origin, a frame within the page, one that is gone. */
async function refuseStrangers(): Promise<void> {
  const page = { url: `${ORIGIN}/index.html`, parent: null }
  const strangers = [
    { senderFrame: { url: 'https://example.org/', parent: null } },
    { senderFrame: { url: `${ORIGIN}.example.org/`, parent: null } },
    { senderFrame: { url: page.url, parent: page } },
    { senderFrame: null },
  ]
  const answered: string[] = []
  for (const [channel, handler] of handlers)
    for (const stranger of strangers)
      try {
        await handler(stranger, ...(['app.info', {}] as never[]))
        answered.push(channel)
      } catch {
        // Refused, as it should be.
      }
  report('channels', [...handlers.keys()].sort().join(' '))
  report('answered-strangers', answered.join(' '))
}

/** The preload script with the two modules of Electron that a sandboxed one may have. */
function preloadScript(code: string): string {
  return `(() => {
    const listeners = {}
    window.__deliver = (channel, message) => (listeners[channel] ?? []).forEach((listener) => listener({}, message))
    const electron = {
      contextBridge: { exposeInMainWorld: (name, value) => { window[name] = value } },
      ipcRenderer: {
        invoke: (channel, ...args) => window.__invoke(channel, args),
        on: (channel, listener) => { (listeners[channel] ??= []).push(listener) },
        off: (channel, listener) => { listeners[channel] = (listeners[channel] ?? []).filter((l) => l !== listener) },
      },
    }
    const require = (name) => { if (name !== 'electron') throw new Error('no module ' + name); return electron }
    const module = { exports: {} }
    ;((require, module, exports) => { ${code} })(require, module, module.exports)
  })()`
}

class UtilityProcess extends EventEmitter {
  private readonly child: ChildProcess
  constructor(entry: string) {
    super()
    const shim = new URL('./parentPort.ts', import.meta.url).href
    this.child = fork(entry, [], {
      execArgv: ['--import', 'tsx', '--import', shim],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.child.on('message', (message) => this.emit('message', message))
    this.child.on('close', (code) => this.emit('exit', code ?? 1))
    // The first self-test is made to die, so that the shell shows what it does then.
    if (process.env.RETORT_DOUBLE_CRASH) this.child.kill('SIGSEGV')
  }
  get pid() {
    return this.child.pid
  }
  get stderr() {
    return this.child.stderr
  }
  postMessage = (message: unknown) => void (this.child.connected && this.child.send(message as object))
  kill = () => this.child.kill()
}

export const utilityProcess = {
  fork: (entry: string) => new UtilityProcess(entry),
}
