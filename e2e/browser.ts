import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installedBrowser } from '../electron/services/report'

export { browserArguments } from '../electron/services/report'

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
  const there = installedBrowser()
  if (there) return there
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    run('apt-get', 'update')
    run('apt-get', 'install', '-y', '--no-install-recommends', 'chromium')
    const now = installedBrowser()
    if (now) return now
  }
  if (run(process.execPath, join('node_modules', 'playwright-core', 'cli.js'), 'install', 'chromium'))
    return undefined
  throw new Error('no Chrome or Chromium was found and none could be installed; set CHROME_PATH to one')
}
