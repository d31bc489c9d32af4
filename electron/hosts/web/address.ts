import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeFileAtomic } from '../../files'
import { paths } from '../../store'

const webAddress = z.strictObject({
  token: z.string().regex(/^[\w-]{43}$/),
  /** Where it listened last. */
  port: z.number().int().min(1).max(65535).optional(),
  /** The process that did. */
  pid: z.number().int().positive().optional(),
})
/** What of a web host outlasts it: pages that are open find the next one on this data directory. */
export type WebAddress = z.output<typeof webAddress>

/** The address of the last web host of a data directory; a new one where there was none or it cannot be read. */
export function lastAddress(dataDir: string): WebAddress {
  try {
    return webAddress.parse(JSON.parse(readFileSync(paths.webHost(dataDir), 'utf8')))
  } catch {
    return { token: newToken() }
  }
}

/** Keeps it for the next one, readable by nobody but its user. */
export function keepAddress(dataDir: string, address: WebAddress): void {
  writeFileAtomic(paths.webHost(dataDir), `${JSON.stringify(address)}\n`, 0o600)
}

/** 256 bits. */
export const newToken = () => randomBytes(32).toString('base64url')

/**
 * A page for the browser to be started on, which sends it to the address: arguments of a process are read by every user
 * of the machine, this file by its own alone.
 *
 * @returns where it lies; whoever wrote it removes it
 */
export function writeRedirect(dataDir: string, url: string): string {
  const file = paths.webRedirect(dataDir)
  const page = `<!doctype html><meta charset="utf-8"><title>Retort</title><meta http-equiv="refresh" content="0; url=${url}"><a href="${url}">Retort</a>\n`
  writeFileAtomic(file, page, 0o600)
  return file
}
