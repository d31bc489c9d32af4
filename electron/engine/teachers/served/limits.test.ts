import { afterEach, describe, expect, it } from 'vitest'
import { parse, servedLimits } from '#contract'
import { model } from '../../train/testing'
import { BoundReached, ServedClient } from './client'
import { Server } from './http'
import { Double, letters } from './testing'
import { ServedText } from './text'

const VOCAB = model.vocab
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** A clock on which nobody waits: it tells what was to be waited for. `stands`: no time passes meanwhile. */
function clock(stands = false) {
  const waits: number[] = []
  let time = 0
  const sleep = (milliseconds: number) => {
    waits.push(milliseconds)
    if (!stands) time += milliseconds
    return Promise.resolve()
  }
  return { waits, now: () => time, sleep }
}

async function double(limits: object, time = clock()) {
  const even = new Float32Array(VOCAB).fill(-Math.log(VOCAB))
  const server = new Double({ dialect: 'vllm', say: (ids) => Promise.resolve(ids.map(() => even)) })
  const url = await server.start()
  stops.push(() => server.stop())
  const parsed = parse(servedLimits, { concurrency: 8, ...limits }, 'limits')
  const about = { url, model: 'tiny', dialect: 'vllm', k: 3, ids: true, late: false, vocab: VOCAB } as const
  const http = new Server({ url, limits: parsed, clock: time })
  const text = new ServedText(letters(VOCAB), '<s>')
  return { server, time, client: new ServedClient(http, { ...about, limits: parsed }, text) }
}

describe('the limits of a server', () => {
  it('let so many requests begin in a minute, evenly', async () => {
    const { client, server, time } = await double({ perMinute: 4 }, clock(true))
    await Promise.all([1, 2, 3, 4, 5].map((id) => client.ask([id, id])))
    expect(time.waits).toEqual([15_000, 30_000, 45_000, 60_000])
    expect(server.requests).toBe(5)
  })

  it('hold for what is asked again too, and its health tells of it', async () => {
    const { client, server, time } = await double({ perMinute: 60, price: 5 })
    server.faults.push('429')
    await client.ask([1, 2, 3])
    // A pause after the refusal, and until its turn comes.
    expect(time.waits).toEqual([500, 500])
    expect(server.requests).toBe(2)
    expect(client.health('far')).toMatchObject({ answers: 1, retries: 1, lastError: 'HTTP 429', tokens: 4 })
    expect(client.health('far')).toMatchObject({ tokensPerSecond: 4, cost: 4 * 5e-6 })
  })

  it('allow a batch whole or not at all', async () => {
    const { client } = await double({ tokens: 20 })
    client.allow(2, 4)
    expect(() => client.allow(3, 4)).toThrow(BoundReached)
    expect(() => client.allow(3, 4)).toThrow(
      'limits.tokens is reached: 10 tokens were asked, 15 more would be above 20',
    )
    client.allow(2, 4)
    expect(() => client.allow(1, 1)).toThrow(BoundReached)
  })

  it('of cost need a price, and the lower of two bounds holds', async () => {
    expect(() => parse(servedLimits, { cost: 1 }, 'limits')).toThrow(/price/)
    const both = await double({ tokens: 1000, price: 2, cost: 0.0001 })
    expect(() => both.client.allow(1, 50)).toThrow(
      'limits.cost is reached: 0 tokens were asked, 51 more would be above 0.0001 at 2 a million',
    )
  })
})
