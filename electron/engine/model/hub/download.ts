import { createHash } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { badInput, failed } from '#contract'
import { copyFile, syncFolder, withRoom } from '../../../files'
import type { HubClient, HubFile } from './client'
import { brokenConnection, Passing, type Watch } from './request'

const SUFFIX = '.incomplete'

/** Bytes of a file that lie in the cache already, whole or from a fetch that broke. */
export function bytesThere(repository: string, { digest, bytes }: HubFile): number {
  const blob = join(repository, 'blobs', digest)
  if (existsSync(blob)) return bytes
  const part = sizeOf(blob + SUFFIX)
  return part > bytes ? 0 : part
}

/**
 * Fetches a file into the cache, from where an earlier fetch of it broke: its bytes gather in `blobs/DIGEST.incomplete`,
 * which gets its name when size and digest are right, and its link in the snapshot then.
 *
 * @param onBytes hears of bytes as they come; of less than none when they have to come again
 * @throws bad-input when the digest is wrong: nothing of it is kept then
 */
export async function download(
  client: HubClient,
  repository: string,
  file: HubFile,
  onBytes: (count: number) => void,
): Promise<void> {
  const blob = join(repository, 'blobs', file.digest)
  if (!existsSync(blob)) await fetchBlob(client, blob, file, onBytes)
  link(blob, join(repository, 'snapshots', file.commit, file.file))
}

async function fetchBlob(
  client: HubClient,
  blob: string,
  file: HubFile,
  onBytes: (count: number) => void,
): Promise<void> {
  const part = blob + SUFFIX
  mkdirSync(dirname(blob), { recursive: true })
  if (sizeOf(part) > file.bytes) rmSync(part)
  if (sizeOf(part) < file.bytes || !existsSync(part)) {
    await client.body(
      file,
      () => sizeOf(part),
      (answer, watch, progressed) =>
        append(part, file, answer, watch, (count) => {
          if (count > 0) progressed()
          onBytes(count)
        }),
    )
  }
  if ((await digestOf(part, file)) !== file.digest) {
    rmSync(part)
    throw badInput(
      `${file.file} came with other bytes than its digest says; they are thrown away: try again, or look at the network between`,
      {
        file: client.text,
        expected: `${file.digest.length === 64 ? 'SHA-256' : "git's SHA-1"} ${file.digest}`,
      },
    )
  }
  renameSync(part, blob)
  syncFolder(dirname(blob))
}

/** Writes what comes after what is there, or anew where the server begins at the beginning. */
async function append(
  part: string,
  { file, bytes }: HubFile,
  answer: Response,
  watch: Watch,
  onBytes: (count: number) => void,
): Promise<void> {
  const host = answer.url ? new URL(answer.url).host : 'the server'
  const there = sizeOf(part)
  const goesOn = answer.status === 206 && there > 0
  if (goesOn && !answer.headers.get('content-range')?.startsWith(`bytes ${there}-`)) {
    await answer.body?.cancel()
    throw failed(`${host} sends another part of ${file} than it was asked for`)
  }
  if (there && !goesOn) onBytes(-there)
  const output = openSync(part, goesOn ? 'a' : 'w')
  let size = goesOn ? there : 0
  try {
    for await (const chunk of chunksOf(answer, host)) {
      watch.beat()
      size += chunk.length
      if (size > bytes) throw failed(`${host} sends more of ${file} than its ${bytes} bytes`)
      withRoom(part, bytes, () => {
        for (let at = 0; at < chunk.length;) at += writeSync(output, chunk, at)
      })
      onBytes(chunk.length)
    }
    withRoom(part, bytes, () => fsyncSync(output))
  } finally {
    closeSync(output)
  }
  if (size < bytes) throw new Passing(`${host} ended after ${size} of ${bytes} bytes of ${file}`)
}

async function* chunksOf(answer: Response, host: string): AsyncGenerator<Uint8Array> {
  if (!answer.body) return
  const reader = answer.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw brokenConnection(host, error)
      })
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** SHA-256 where that is what is expected, else what git calls the file: SHA-1 of a head and the bytes. */
async function digestOf(path: string, { digest, bytes }: HubFile): Promise<string> {
  const hash = digest.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`)
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

/** A link as Python's tools make it; a copy where the system has no links for us (Windows). */
function link(blob: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.tmp`
  rmSync(temporary, { force: true })
  try {
    symlinkSync(relative(dirname(path), blob), temporary)
  } catch {
    copyFile(blob, temporary)
  }
  renameSync(temporary, path)
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
