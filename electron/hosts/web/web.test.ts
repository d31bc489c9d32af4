import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { createConnection } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServices, type Services } from '../../services'
import { builtWorkers } from '../built'
import { connectTo } from './testing'
import { startWebHost, writeRedirect, type WebHost } from '.'

let folder: string
let services: Services
let host: WebHost

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  const page = join(folder, 'page')
  mkdirSync(join(page, 'assets'), { recursive: true })
  writeFileSync(join(page, 'index.html'), '<h1>page</h1>')
  writeFileSync(join(page, 'assets', 'a.js'), 'let a')
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  services = await createServices({
    dataDir: join(folder, 'data'),
    spawnWorker: builtWorkers(),
    host: 'web',
  })
  host = await startWebHost({ services, rendererDir: page })
})
afterEach(async () => {
  await host.close()
  await services.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The path as it is, without the clean-up that fetch does. */
function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port: host.port, path, headers }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () =>
        resolve({ status: response.statusCode!, body, type: response.headers['content-type'] ?? '' }),
      )
    })
      .on('error', reject)
      .end()
  })
}

const token = () => host.url.split('#token=')[1]!

const connect = (options: { origin?: string; host?: string } = {}) => connectTo(host, options)

describe('the page', () => {
  it('is served with its types, and nothing from outside its folder', async () => {
    expect(await get('/')).toMatchObject({
      status: 200,
      body: '<h1>page</h1>',
      type: 'text/html; charset=utf-8',
    })
    expect(await get('/assets/a.js?x=1')).toMatchObject({ status: 200, body: 'let a' })
    for (const path of [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/assets/..%5c..%5csecret.txt',
    ]) {
      expect(await get(path)).toMatchObject({ status: 404 })
    }
    expect(await get('/%00')).toMatchObject({ status: 404 })
    expect(await get('/%')).toMatchObject({ status: 404 })
  })

  it('is for loopback names only, on whatever port a tunnel has', async () => {
    expect((await get('/', { Host: 'localhost:9999' })).status).toBe(200)
    expect((await get('/', { Host: 'evil.example' })).status).toBe(403)
    expect((await get('/', { Host: '127.0.0.1.evil.example' })).status).toBe(403)
  })
})

describe('the socket', () => {
  it('refused to clients that reset their connection harms nobody', async () => {
    for (let n = 0; n < 200; n++) {
      const client = createConnection({ host: '127.0.0.1', port: host.port })
      client.on('error', () => {})
      await once(client, 'connect')
      const path = n % 2 ? '/nope' : '/ws'
      client.write(
        `GET ${path} HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
      )
      if (n % 3) await setTimeout(1)
      client.resetAndDestroy()
    }
    expect(await get('/')).toMatchObject({ status: 200 })
  })

  it('answers calls after a hello with the token', async () => {
    const { say, next, socket } = connect()
    await say({ type: 'hello', token: token() })
    expect(await next()).toMatchObject({ type: 'welcome', lost: false })
    await say({ type: 'call', id: 7, name: 'runs.list', params: {} })
    expect(await next()).toEqual({ type: 'result', id: 7, ok: true, result: [] })
    await say({ type: 'call', id: 8, name: 'runs.lst', params: {} })
    expect(await next()).toMatchObject({
      id: 8,
      ok: false,
      error: { code: 'bad-input', expected: 'runs.list' },
    })
    await say({ type: 'call', id: 9, name: 'runs.get', params: { id: 'none', extra: 1 } })
    expect(await next()).toMatchObject({ id: 9, ok: false, error: { code: 'bad-input', field: 'extra' } })
    socket.terminate()
  })

  it('refuses a wrong token, a call before hello, and what is no frame', async () => {
    for (const frame of [
      { type: 'hello', token: 'x' },
      { type: 'call', id: 1, name: 'runs.list', params: {} },
      'no json',
    ]) {
      const { say, next } = connect()
      await say(frame)
      expect(await next()).toMatchObject({ type: 'refused' })
      expect(await next()).toBe('closed')
    }
  })

  it('refuses other origins and other hosts before anything is said', async () => {
    expect(await connect({ origin: 'http://evil.example' }).next()).toBe('closed')
    const rebound = { origin: `http://evil.example:${host.port}`, host: `evil.example:${host.port}` }
    expect(await connect(rebound).next()).toBe('closed')
  })

  it('repeats what a page missed, and says when it cannot', async () => {
    const definition = 'name: one\ncorpus: c\nstudent: { width: 8, layers: 1, heads: 2 }\nteachers: []\n'
    await services.call('experiments.save', { definition })
    await services.call('settings.set', { threads: 1 })
    const late = connect()
    await late.say({ type: 'hello', token: token(), since: 1 })
    expect(await late.next()).toMatchObject({ type: 'welcome', seq: 2, lost: false })
    expect(await late.next()).toMatchObject({
      type: 'push',
      seq: 2,
      push: { topic: 'library', noun: 'settings' },
    })
    const other = connect()
    await other.say({ type: 'hello', token: token(), since: 99 })
    expect(await other.next()).toMatchObject({ type: 'welcome', lost: true })
    // A number of another life says nothing, though this one has come as far.
    const stranger = connect()
    await stranger.say({ type: 'hello', token: token(), since: 1, life: 'another' })
    expect(await stranger.next()).toMatchObject({ type: 'welcome', lost: true })
    for (const { socket } of [late, other, stranger]) socket.terminate()
  })
})

describe('the address', () => {
  const file = () => join(folder, 'data', 'web.json')
  const page = () => join(folder, 'page')
  const restart = async (options: Partial<Parameters<typeof startWebHost>[0]> = {}) => {
    await host.close()
    host = await startWebHost({ services, rendererDir: page(), ...options })
    return host.url
  }

  it('is the same after a restart, and known to its user alone', async () => {
    const first = host.url
    expect(await restart()).toBe(first)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
  })

  it('has another port where the last one is taken, and says so where it was asked for', async () => {
    const { port } = host
    const last = token()
    await host.close()
    const taken = createServer().listen(port, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    await expect(startWebHost({ services, port, rendererDir: page() })).rejects.toThrow(
      `port ${port} is in use; choose another with --port`,
    )
    host = await startWebHost({ services, rendererDir: page() })
    expect(host.port).not.toBe(port)
    expect(token()).toBe(last)
    await new Promise((resolve) => taken.close(resolve))
  })

  it('is new when that is asked for, and when what was kept cannot be read', async () => {
    const first = token()
    await restart({ renewToken: true })
    const second = token()
    expect(second).not.toBe(first)
    writeFileSync(file(), '{"token":"short"}')
    await restart()
    expect(token()).toMatch(/^[\w-]{43}$/)
    expect([first, second]).not.toContain(token())
  })
})

it('the browser is sent to the address by a file that only its user can read', () => {
  const file = writeRedirect(join(folder, 'data'), host.url)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toContain(`url=${host.url}`)
})
