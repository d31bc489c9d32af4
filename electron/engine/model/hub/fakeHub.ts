import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** For tests: a Hub of one model, and the server of large files that it redirects to, which is another origin. */
export interface FakeHub {
  endpoint: string
  commit: string
  /** What was asked, in order. */
  asked: Asked[]
  /** The large files, by name. */
  digestOf(file: string): string
  faults: Faults
  /** Breaks the connections of large files. */
  dropCdn(): void
  close(): Promise<void>
}

export interface Asked {
  method: string
  origin: 'hub' | 'cdn'
  path: string
  range?: string
  authorization?: string
}

/** What goes wrong; a test sets and clears them. */
export interface Faults {
  /** The connection ends after so many bytes of a large file's answer; once. */
  cutAfter?: number
  /** An answer of a large file stays open after so many bytes, until the other side goes. */
  stallAfter?: number
  /** Every byte of a large file's first ten is another. */
  wrongBytes?: boolean
  /** Ranges are not heeded. */
  noRanges?: boolean
  /** So many requests are answered with this status and headers. */
  status?: { times: number; code: number; headers?: Record<string, string> }
  /** Large files are said to lie there. */
  location?: string
  /** Only who shows this token is answered. */
  token?: string
}

/** @param left names of the folder's files that the repository has not; `more` such that it has beside them */
export async function startFakeHub(
  id: string,
  folder: string,
  options: { left?: string[]; more?: Record<string, string> } = {},
): Promise<FakeHub> {
  const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
  for (const name of options.left ?? []) files.delete(name)
  for (const [name, text] of Object.entries(options.more ?? {})) files.set(name, Buffer.from(text))
  const commit = createHash('sha1').update(id).digest('hex')
  const asked: Asked[] = []
  const faults: Faults = {}
  const isLarge = (name: string) => /\.(safetensors|bin)$/.test(name)
  const digestOf = (name: string) => {
    const bytes = files.get(name)!
    return isLarge(name)
      ? createHash('sha256').update(bytes).digest('hex')
      : createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
  }

  const note = (origin: 'hub' | 'cdn', { method, url, headers }: IncomingMessage) =>
    asked.push({
      method: method!,
      origin,
      path: url!,
      ...(headers.range && { range: headers.range }),
      ...(headers.authorization && { authorization: headers.authorization }),
    })

  const cdn = createServer((request, response) => {
    note('cdn', request)
    const name = [...files.keys()].find((name) => isLarge(name) && request.url === `/files/${digestOf(name)}`)
    if (!name) return void response.writeHead(403).end()
    const bytes = Buffer.from(files.get(name)!)
    if (faults.wrongBytes) bytes.subarray(0, 10).forEach((byte, i) => (bytes[i] = byte ^ 1))
    serve(request, response, bytes, faults)
  })
  const cdnOrigin = await listen(cdn)

  const hub = createServer((request, response) => {
    note('hub', request)
    if (faults.status && faults.status.times-- > 0)
      return void response.writeHead(faults.status.code, faults.status.headers).end('no')
    if (faults.token && request.headers.authorization !== `Bearer ${faults.token}`)
      return void response.writeHead(401, { 'x-error-code': 'GatedRepo' }).end()
    const path = request.url!
    const revision = new RegExp(`^/api/models/${id}/revision/([^/]+)$`).exec(path)?.[1]
    if (revision === 'main' || revision === 'refs%2Fpr%2F1' || revision === commit) {
      response.writeHead(200, { 'content-type': 'application/json' })
      return void response.end(
        JSON.stringify({ id, sha: commit, siblings: [...files.keys()].map((rfilename) => ({ rfilename })) }),
      )
    }
    if (revision) return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end()
    if (path.startsWith('/api/'))
      return void response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end()
    const name = new RegExp(`^/${id}/resolve/${commit}/([^/]+)$`).exec(path)?.[1]
    if (!name || !files.has(name))
      return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
    const digest = digestOf(name)
    if (!isLarge(name)) {
      response.setHeader('etag', `"${digest}"`)
      return void serve(request, response, files.get(name)!, {})
    }
    response.writeHead(302, {
      location: faults.location ?? `${cdnOrigin}/files/${digest}`,
      'x-linked-etag': `"${digest}"`,
      'x-linked-size': String(files.get(name)!.length),
    })
    response.end()
  })
  const endpoint = await listen(hub)
  const close = async () => {
    for (const server of [hub, cdn]) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
  return { endpoint, commit, asked, digestOf, faults, dropCdn: () => cdn.closeAllConnections(), close }
}

function serve(request: IncomingMessage, response: ServerResponse, bytes: Buffer, faults: Faults): void {
  const start = faults.noRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const rest = bytes.subarray(start)
  response.writeHead(start ? 206 : 200, {
    'content-length': rest.length,
    ...(start && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  })
  if (request.method === 'HEAD') return void response.end()
  if (faults.cutAfter !== undefined) {
    const part = rest.subarray(0, faults.cutAfter)
    faults.cutAfter = undefined
    response.write(part, () => response.destroy())
  } else if (faults.stallAfter !== undefined) response.write(rest.subarray(0, faults.stallAfter))
  else response.end(rest)
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
