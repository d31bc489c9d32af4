import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** SHA-256, hexadecimal; of a list of parts, of all of them one after the other. */
export function sha256(data: string | Uint8Array | readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const part of Array.isArray(data) ? (data as readonly Uint8Array[]) : [data as string | Uint8Array])
    hash.update(part)
  return hash.digest('hex')
}

/** SHA-256 of a file's bytes, hexadecimal. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

/** SHA-256 of a file; where others lie beside it that are part of it, of all their names and digests. */
export async function sha256WithOthers(path: string, others: readonly string[]): Promise<string> {
  const own = await sha256File(path)
  if (!others.length) return own
  const digests: string[][] = []
  for (const name of others) digests.push([name, await sha256File(join(dirname(path), name))])
  return sha256(JSON.stringify([own, digests]))
}
