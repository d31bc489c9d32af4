import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServices, type Services } from '../../services'
import { builtWorkers } from '../built'
import { startWebHost, type WebHost } from '.'
import { connectTo } from './testing'

let folder: string
let services: Services
let host: WebHost

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  const dataDir = join(folder, 'data')
  services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })
})
afterEach(async () => {
  await host.close()
  await services.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a page that reads slowly', () => {
  const ANSWERS = 40
  let begun: number

  /** It has asked for forty answers of 2 MB and reads none of them. */
  async function stalled() {
    begun = 0
    for (const name of ['one', 'two']) {
      const rest = 'corpus: c\nstudent: { width: 8, layers: 1, heads: 2 }\nteachers: []\n'
      const definition = `name: ${name}\n${rest}# ${'x'.repeat(1e6)}\n`
      await services.call('experiments.save', { definition })
    }
    const counted = {
      ...services,
      get seq() {
        return services.seq
      },
      call: ((name, params) => {
        begun++
        return services.call(name, params)
      }) as typeof services.call,
    }
    host = await startWebHost({ services: counted, rendererDir: folder })
    const page = connectTo(host)
    await page.say({ type: 'hello', token: host.url.split('#token=')[1] })
    expect(await page.next()).toMatchObject({ type: 'welcome' })
    page.socket.pause()
    for (let id = 1; id <= ANSWERS; id++)
      await page.say({ type: 'call', id, name: 'experiments.list', params: {} })
    // Until no more of them is begun.
    for (let before = -1; before < begun || !begun;) {
      before = begun
      await setTimeout(200)
    }
    return page
  }

  it('has its calls wait, and gets every answer and every push in their order', async () => {
    const page = await stalled()
    expect(begun).toBeLessThan(ANSWERS / 2)
    const from = services.seq
    for (let threads = 1; threads <= 50; threads++) await services.call('settings.set', { threads })
    page.socket.resume()
    const ids: number[] = []
    const seqs: number[] = []
    while (ids.length < ANSWERS || seqs.length < 50) {
      const frame = await page.next()
      if (frame === 'closed') throw new Error('it was cut off')
      if (frame.type === 'result') ids.push(frame.id)
      if (frame.type === 'push') seqs.push(frame.seq)
    }
    expect(ids).toEqual(Array.from({ length: ANSWERS }, (_, i) => i + 1))
    expect(seqs).toEqual(Array.from({ length: 50 }, (_, i) => from + 1 + i))
    page.socket.terminate()
  })

  it('hears that pushes are lost where they are no longer held, and what comes after', async () => {
    const page = await stalled()
    const { pushes } = services.rooms.context
    for (let n = 0; n < 5000; n++) pushes.push({ topic: 'library', noun: 'settings' })
    const { seq } = services
    page.socket.resume()
    let frame = await page.next()
    while (frame !== 'closed' && frame.type === 'result') frame = await page.next()
    expect(frame).toEqual({ type: 'lost', seq })
    pushes.push({ topic: 'library', noun: 'bin' })
    while (frame !== 'closed' && frame.type !== 'push') frame = await page.next()
    expect(frame).toMatchObject({ type: 'push', seq: seq + 1, push: { noun: 'bin' } })
    page.socket.terminate()
  })
})
