import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type Electron from 'electron'

/**
 * A double of Electron's main-process API that opens nothing: it writes down what the built main bundle sets up, asks its
 * handlers what Electron would ask them on a stranger's behalf, prints all as one JSON object and ends.
 */
export interface Recorded {
  privileges: Electron.CustomScheme[]
  preferences: Electron.WebPreferences[]
  loaded: string[]
  /** Of channels, the strangers that were answered. */
  answered: Record<string, string[]>
  /** Of permissions, whether it was given: when it was asked for, and when it was looked at. */
  permissions: Record<string, boolean[]>
  /** Of addresses, whether the page may go there, and whether a redirect may. */
  navigations: Record<string, boolean[]>
  webviews: boolean
  /** Of addresses that a window was asked for with: what was said, and what was opened outside. */
  windows: Record<string, { action: string; outside: string[] }>
  answers: Record<string, { status: number; headers: Record<string, string> }>
  instanceLock: boolean
  schemes: string[]
}

const recorded: Recorded = {
  privileges: [],
  preferences: [],
  loaded: [],
  answered: {},
  permissions: {},
  navigations: {},
  webviews: true,
  windows: {},
  answers: {},
  instanceLock: false,
  schemes: [],
}
const ORIGIN = 'app://retort'

class App extends EventEmitter {
  whenReady = () => Promise.resolve()
  requestSingleInstanceLock = () => (recorded.instanceLock = true)
  setPath = () => {}
  quit = () => process.exit(0)
  exit = (code = 0) => process.exit(code)
}
export const app = new App()

let outside: string[] = []
export const shell = { openExternal: (url: string) => void outside.push(url) }
export const Menu = { setApplicationMenu: () => {}, buildFromTemplate: (template: unknown) => template }
export const dialog = {
  showErrorBox: (title: string, content: string) => process.stderr.write(`${title}: ${content}\n`),
  showOpenDialog: () => Promise.resolve({ canceled: true, filePaths: [] }),
}

const PERMISSIONS = [
  'media',
  'geolocation',
  'notifications',
  'clipboard-read',
  'openExternal',
  'fileSystem',
  'usb',
]
const note = (permission: string, given: boolean) => (recorded.permissions[permission] ??= []).push(given)
type Ask = (contents: unknown, permission: string, answer: (given: boolean) => void) => void
export const session = {
  defaultSession: {
    setPermissionRequestHandler: (ask: Ask) => {
      for (const name of PERMISSIONS) ask(undefined, name, (given) => note(name, given))
    },
    setPermissionCheckHandler: (check: (contents: unknown, permission: string) => boolean) => {
      for (const name of PERMISSIONS) note(name, check(undefined, name))
    },
  },
}

type Handler = (event: { senderFrame: unknown }, ...args: unknown[]) => unknown
const handlers = new Map<string, Handler>()
const listen = (channel: string, handler: Handler) => void handlers.set(channel, handler)
export const ipcMain = { handle: listen, handleOnce: listen, on: listen, once: listen }

let respond: (request: Request) => Promise<Response> | Response = () => new Response('', { status: 500 })
export const protocol = {
  registerSchemesAsPrivileged: (schemes: Electron.CustomScheme[]) => recorded.privileges.push(...schemes),
  handle: (scheme: string, handler: typeof respond) => {
    recorded.schemes.push(scheme)
    respond = handler
  },
}
export const net = { fetch: async (url: string) => new Response(readFileSync(fileURLToPath(url))) }

class WebContents extends EventEmitter {
  setWindowOpenHandler(handler: (details: { url: string }) => { action: string }): void {
    for (const url of ADDRESSES) {
      outside = []
      const { action } = handler({ url })
      recorded.windows[url] = { action, outside }
    }
  }
  send = () => {}
  reload = () => {}
}

/** Where a page that has been taken over would want to go. */
const ADDRESSES = [
  'https://example.org/',
  'http://example.org/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'data:text/html,x',
  'smb://example.org/share',
  'ms-msdt:/id',
  'vscode://x',
  `${ORIGIN}.example.org/`,
  `${ORIGIN}@example.org/`,
  'https:example.org',
  ' https://example.org/',
]

export class BrowserWindow extends EventEmitter {
  readonly webContents = new WebContents()
  constructor(options: Electron.BrowserWindowConstructorOptions) {
    super()
    recorded.preferences.push(options.webPreferences ?? {})
    app.emit('web-contents-created', {}, this.webContents)
  }
  show = () => {}
  focus = () => {}
  isMinimized = () => false
  isDestroyed = () => false
  getBounds = () => ({ x: 0, y: 0, width: 1280, height: 800 })
  async loadURL(url: string): Promise<void> {
    recorded.loaded.push(url)
    await askOnBehalf(this.webContents)
    process.stdout.write(`${JSON.stringify(recorded)}\n`, () => process.exit(0))
  }
}

async function askOnBehalf(contents: WebContents): Promise<void> {
  const page = { url: `${ORIGIN}/index.html`, parent: null }
  const strangers = {
    'another origin': { url: 'https://example.org/', parent: null },
    'an origin that begins alike': { url: `${ORIGIN}.example.org/`, parent: null },
    'a file': { url: 'file:///index.html', parent: null },
    'a frame within the page': { url: page.url, parent: page },
    'an empty frame': { url: 'about:srcdoc', parent: page },
    'a frame that is gone': null,
  }
  for (const [channel, handler] of handlers) {
    recorded.answered[channel] = []
    for (const [who, senderFrame] of Object.entries(strangers))
      try {
        await handler({ senderFrame }, 'app.info', {})
        recorded.answered[channel].push(who)
      } catch {
        // Refused.
      }
  }
  const isLetThrough = (event: string, url?: string) => {
    let prevented = false
    contents.emit(event, { url, preventDefault: () => (prevented = true) }, url)
    return !prevented
  }
  for (const url of [...ADDRESSES, `${ORIGIN}/index.html`])
    recorded.navigations[url] = [isLetThrough('will-navigate', url), isLetThrough('will-redirect', url)]
  recorded.webviews = isLetThrough('will-attach-webview')
  for (const url of [
    `${ORIGIN}/index.html`,
    'app://other/index.html',
    `${ORIGIN}/../package.json`,
    `${ORIGIN}/%2e%2e/package.json`,
    `${ORIGIN}/..%5cpackage.json`,
    `${ORIGIN}/%00`,
  ]) {
    const { status, headers } = await Promise.resolve(respond(new Request(url))).catch(
      () => new Response('', { status: 400 }),
    )
    recorded.answers[url] = { status, headers: Object.fromEntries(headers) }
  }
}

export const utilityProcess = {
  fork: () => {
    throw new Error('none here: plain Node computes')
  },
}
