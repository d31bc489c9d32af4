import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { commandLine } from './built'

/** Before the first test: builds what tests start as processes, unless the build is younger than every source. */
export default function buildFirst(): void {
  const root = resolve(import.meta.dirname, '../..')
  const built = existsSync(commandLine) ? statSync(commandLine).mtimeMs : 0
  const sources = ['electron', 'resources'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true }),
  )
  const isNewer = sources.some(
    (file) =>
      file.isFile() &&
      !file.name.endsWith('.test.ts') &&
      statSync(join(file.parentPath, file.name)).mtimeMs > built,
  )
  if (!isNewer) return
  const { status } = spawnSync('npm', ['run', 'build'], { cwd: root, stdio: 'inherit', shell: true })
  if (status !== 0) throw new Error('the build failed: npm run build')
}
