import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parse, tokenizer, type ServedDialect } from '#contract'
import { sha256 } from '../../../files'
import { ServedClient } from './client'
// In the form of the servers' documentation: neither could be recorded.
import documented from './fixtures/documented.json'
// Recorded from llama-cpp-python by record.ts beside it.
import llama from './fixtures/llama.json'
import { Server } from './http'
import { probeServer } from './probe'
import { Double, type Exchange } from './testing'
import { servedText, type ServedText } from './text'

const VOCAB = 300
const EXCHANGES: Record<ServedDialect, Exchange[]> = {
  completions: llama.exchanges,
  vllm: documented.vllm,
  sglang: documented.sglang,
}
const DIALECTS = Object.keys(EXCHANGES) as ServedDialect[]
const dataDir = mkdtempSync(join(tmpdir(), 'retort-recorded-'))
const stops: (() => Promise<void>)[] = []
let text: ServedText
beforeAll(async () => {
  const file = JSON.stringify(llama.tokenizer)
  const row = {
    ...{ id: 'letters', name: 'letters', kind: 'bpe', vocab: VOCAB, digest: sha256(file) },
    ...{ lossless: true, createdAt: '2026-01-01T00:00:00.000Z' },
  }
  const folder = join(dataDir, 'library', 'tokenizers', row.id)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'tokenizer.json'), file)
  text = await servedText(dataDir, parse(tokenizer, row, 'row'))
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function replay(dialect: ServedDialect) {
  const server = new Double({
    dialect,
    recorded: EXCHANGES[dialect],
    say: () => Promise.reject(new Error('nobody computes here')),
  })
  const url = await server.start()
  stops.push(() => server.stop())
  const limits = { concurrency: 1, timeout: 1 }
  const textual = dialect === 'completions'
  const about = { url, model: 'tiny', dialect, k: 6, ids: !textual, late: textual, vocab: VOCAB, limits }
  const client = new ServedClient(new Server({ url, limits, firstWaitMs: 1 }), about, text)
  return { server, client, url }
}

describe('answers that were recorded', () => {
  it('of llama-cpp-python tell a probe what it can do', async () => {
    const { url } = await replay('completions')
    const limits = { concurrency: 1, timeout: 30 }
    const found = probeServer(url, { model: 'tiny', topK: 6, limits }, text, VOCAB, llama.beginning)
    // It takes no ids, which it says with the status of a server that is ill, and puts answers one place late.
    expect(await found).toMatchObject({ dialect: 'completions', ids: false, late: true, k: 6 })
  }, 30_000)

  it.each(DIALECTS)('of %s are what the same model says here', async (dialect) => {
    const { client } = await replay(dialect)
    const said = await client.ask(llama.asked)
    expect(said).toHaveLength(llama.asked.length)
    for (const [t, one] of said.entries()) {
      // Of a server that speaks in texts, pieces of a character are missing.
      const told = llama.local[t]!.filter(([id]) => dialect !== 'completions' || one.has(id!))
      expect(told.length).toBeGreaterThan(2)
      for (const [id, p] of told) expect(Math.abs(one.get(id!)! - p!)).toBeLessThan(1e-4)
    }
  })

  describe.each(DIALECTS)('of %s', (dialect) => {
    it.each(['429', '500', 'cut', 'slow'] as const)('are asked for again after: %s', async (fault) => {
      const { client, server } = await replay(dialect)
      const plain = await client.ask(llama.asked)
      const { requests } = server
      server.faults.push(fault)
      expect(await client.ask(llama.asked)).toEqual(plain)
      expect(server.requests).toBe(requests + 2)
    })

    it.each([
      ['fewer', /answers for \d+ tokens; expected \d+/],
      ['NaN', /a number is NaN; expected JSON with finite/],
      ['wrong-id', /names id 10\d\d\d|its token \d+ is/],
    ] as const)('are not believed where they are spoilt: %s', async (fault, message) => {
      const { client, server, url } = await replay(dialect)
      server.faults.push(fault)
      const error = await client.ask(llama.asked).catch((reason: Error) => reason)
      expect(String(error)).toMatch(message)
      expect(String(error)).toContain(url)
    })
  })
})
