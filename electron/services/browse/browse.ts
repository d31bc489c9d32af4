import { readdir, realpath, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, sep } from 'node:path'
import { badInput, RetortError, type BrowsedEntry, type BrowsedFolder } from '#contract'

/** More cannot be looked through by eye. */
const MOST = 1000

/**
 * What a folder holds, for a page that has no file dialog of its own. Nothing outside the root is listed: neither by a
 * path with `..` nor through a link that leads out.
 *
 * @param root the folder that is allowed; empty is the user's home
 * @param folder an absolute path; absent is the root
 * @throws bad-input when the folder is not there, is outside the root, or may not be read
 */
export async function browse(root: string, folder?: string): Promise<BrowsedFolder> {
  const top = await realFolder(root || homedir(), 'browseRoot')
  const path = folder === undefined ? top : await realFolder(folder, 'folder')
  if (!isWithin(top, path))
    throw badInput(`${folder} is outside the folder that may be browsed`, {
      field: 'folder',
      expected: `a folder in ${top}; another one is set in the settings`,
    })
  const names = await attempt(path, 'folder', () => readdir(path))
  const visible = names.filter((name) => !name.startsWith('.'))
  const found = (await Promise.all(visible.map((name) => entryOf(top, join(path, name), name)))).filter(
    (entry) => entry !== undefined,
  )
  const entries = found.sort(
    (a, b) =>
      Number(b.kind === 'folder') - Number(a.kind === 'folder') ||
      a.name.localeCompare(b.name, 'en', { numeric: true }),
  )
  return {
    root: top,
    path,
    ...(path !== top && { parent: dirname(path) }),
    entries: entries.slice(0, MOST),
    more: Math.max(0, entries.length - MOST),
  }
}

/** Whether a path, its links followed, is a folder or lies in it. */
const isWithin = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** @returns undefined of what is neither file nor folder, leads out of the root, or is gone */
async function entryOf(root: string, path: string, name: string): Promise<BrowsedEntry | undefined> {
  try {
    const real = await realpath(path)
    if (!isWithin(root, real)) return undefined
    const found = await stat(real)
    if (found.isDirectory()) return { name, path, kind: 'folder' }
    return found.isFile() ? { name, path, kind: 'file', bytes: found.size } : undefined
  } catch {
    return undefined
  }
}

async function realFolder(path: string, field: string): Promise<string> {
  if (!isAbsolute(path)) throw badInput(`${path} is no absolute path`, { field, expected: 'one' })
  const real = await attempt(path, field, () => realpath(path))
  if ((await stat(real)).isDirectory()) return real
  throw badInput(`${path} is a file`, { field, expected: 'a folder' })
}

async function attempt<T>(path: string, field: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof RetortError) throw error
    const denied = ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')
    throw badInput(denied ? `${path} may not be read` : `there is no ${path}`, {
      field,
      expected: 'a folder that Retort can read',
    })
  }
}
