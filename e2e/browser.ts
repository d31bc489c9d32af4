import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** A Chrome or Chromium that is there: CHROME_PATH, PATH, or the usual places. */
function installed(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [
    process.env.CHROME_PATH,
    ...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))),
    ...PLACES,
  ]
  return candidates.find((path) => {
    if (!path || !existsSync(path)) return false
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function run(command: string, ...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(command, args, { stdio: 'ignore', timeout: 10 * 60_000, env }).status === 0
}

/**
 * The browser of the tests: one that is there, else Debian's when this is Debian and we are root, else Playwright's
 * own download (`undefined`: Playwright finds it).
 *
 * @throws in one line when there is none to be had
 */
export function findBrowser(): string | undefined {
  const there = installed()
  if (there) return there
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    run('apt-get', 'update')
    run('apt-get', 'install', '-y', '--no-install-recommends', 'chromium')
    const now = installed()
    if (now) return now
  }
  if (run(process.execPath, join('node_modules', 'playwright-core', 'cli.js'), 'install', 'chromium'))
    return undefined
  throw new Error('no Chrome or Chromium was found and none could be installed; set CHROME_PATH to one')
}

/** Chromium's own sandbox does not start for root. */
export const browserArguments = process.getuid?.() === 0 ? ['--no-sandbox'] : []
