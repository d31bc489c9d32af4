import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname, extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { failed } from '#contract'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
}

export const contentType = (file: string) => TYPES[extname(file)] ?? 'application/octet-stream'

/** Styles are inline in charts and in reports' frames; nothing is fetched from elsewhere. */
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; frame-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export const SECURITY_HEADERS = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const

/** The file of the built page that a URL's path means; undefined for anything outside its folder. */
export async function locatePageFile(folder: string, url: string): Promise<string | undefined> {
  let path: string
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0]!)
  } catch {
    return undefined
  }
  if (path.includes('\0') || path.includes('\\') || path.split('/').includes('..')) return undefined
  try {
    const root = await realpath(folder)
    const file = await realpath(join(root, path === '/' ? 'index.html' : path))
    if (!file.startsWith(root + sep)) return undefined
    return (await stat(file)).isFile() ? file : undefined
  } catch {
    return undefined
  }
}

/** `out/renderer`, looked for from this module upwards: source and build lie at different depths. */
export function builtPage(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const page = join(folder, 'out', 'renderer')
    if (existsSync(join(page, 'index.html'))) return page
    const up = dirname(folder)
    if (up === folder) throw failed('the page has not been built; run "npm run build"')
    folder = up
  }
}
