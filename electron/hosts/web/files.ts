import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { sep } from 'node:path'
import { contentType, locatePageFile, SECURITY_HEADERS } from '../pageFiles'

/** Sends a file of the built page; anything outside its folder is not found. */
export async function sendFile(folder: string, url: string, response: ServerResponse): Promise<void> {
  const file = await locatePageFile(folder, url)
  if (!file) return fail(response, 404, 'not found')
  const { size } = await stat(file)
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'Content-Type': contentType(file),
    'Content-Length': size,
    // File names carry a digest, except the page itself.
    'Cache-Control': file.includes(`${sep}assets${sep}`) ? 'max-age=31536000, immutable' : 'no-store',
  })
  createReadStream(file)
    .on('error', () => response.destroy())
    .pipe(response)
}

export function fail(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'Content-Type': 'text/plain; charset=utf-8' })
  response.end(`${message}\n`)
}
