import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { numberOf, parseServedUrl, type RunConfig, type ServedDialect, type Teacher } from '#contract'
import { startBackend } from '../../backend'
import { tf } from '../../backend/tf'
import { logProbabilities } from '../../distill/divergence'
import { createTables } from '../../model/forward'
import { TrainingStep } from '../../train/step'
import { Student } from '../../train/student'
import { batch, model, runConfig, teacherSource } from '../../train/testing'
import { CachedTeacher } from '../cache/cached'
import { Disk } from '../cache/disk'
import type { TeacherSource } from '../source'
import { ServedClient, type ServedTeacher } from './client'
import { readKey, Server, type ServerOptions } from './http'
import { probeServer } from './probe'
import { servedSource } from './source'
import { Double, letters, type DoubleOptions } from './testing'
import { ServedText } from './text'

const VOCAB = model.vocab
const CONTEXT = 8
const BEGINNING = '<s>'
const tokenizer = letters(VOCAB)
const TEXT = new ServedText(tokenizer, BEGINNING)
const config = runConfig({ loss: { features: false, tau: 1 }, weighting: { strategy: 'uniform' } }, 1)
const stops: (() => unknown)[] = []
let folder: string
beforeAll(() => startBackend('onnx', { threads: 1 }))
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  stops.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** A teacher that computes here, sharp enough that its likeliest tokens differ, and what it says of any ids. */
function local(context = CONTEXT + 1) {
  const long = {
    ...config,
    experiment: { ...config.experiment, train: { ...config.experiment.train, context } },
  }
  const source = teacherSource(long as RunConfig, 0, 100, 8)
  stops.push(() => source.dispose())
  const say = async (ids: readonly number[]) => {
    const padded = Int32Array.from({ length: context }, (_, i) => ids[i] ?? 0)
    const table = tf.tidy(() => logProbabilities(source.signal(tf.tensor2d(padded, [1, context])).logits, 1))
    const values = (await table.data()) as Float32Array
    table.dispose()
    return ids.map((_, t) => values.slice(t * VOCAB, (t + 1) * VOCAB))
  }
  return { source, say }
}

async function double(
  dialect: ServedDialect,
  more: Partial<DoubleOptions> = {},
  options: Partial<ServerOptions> = {},
  k = 6,
) {
  const { say } = local()
  const textual = dialect === 'completions'
  const server = new Double({
    dialect,
    say,
    ...(textual && { text: { tokenizer, beginning: BEGINNING } }),
    ...more,
  })
  const url = await server.start()
  stops.push(() => server.stop())
  const limits = { concurrency: 3, timeout: 60 }
  const teacher: ServedTeacher = {
    vocab: VOCAB,
    url,
    model: 'tiny',
    dialect,
    k,
    ids: !textual,
    late: textual,
    limits,
  }
  const client = new ServedClient(new Server({ url, limits, firstWaitMs: 1, ...options }), teacher, TEXT)
  return { server, client, say, url }
}

const DIALECTS: ServedDialect[] = ['vllm', 'sglang', 'completions']
const IDS = [3, 7, 1, 22, 5, 5, 9, 2]

describe('a server', () => {
  it.each(DIALECTS)(
    'of %s says what the teacher says, of text that begins a document too',
    async (dialect) => {
      const { client, say } = await double(dialect)
      for (const ids of [IDS, [0, ...IDS.slice(1)]]) {
        const said = await client.ask(ids)
        const rows = await say(ids)
        expect(said).toHaveLength(ids.length)
        for (const [t, one] of said.entries()) {
          const likeliest = [...rows[t]!.keys()].sort((a, b) => rows[t]![b]! - rows[t]![a]!).slice(0, 6)
          // Of a server that speaks in texts, what has none is missing.
          for (const id of dialect === 'completions' ? likeliest.filter(Boolean) : likeliest)
            expect(one.get(id)).toBeCloseTo(rows[t]![id]!, 6)
        }
      }
    },
  )

  it.each(['429', '500', 'cut', 'slow'] as const)('is asked again after %s', async (fault) => {
    const { client, server } = await double('vllm', {}, { limits: { concurrency: 1, timeout: 1 } })
    const times = fault === 'slow' ? 1 : 2
    server.faults.push(...Array<typeof fault>(times).fill(fault))
    expect(await client.ask(IDS)).toHaveLength(IDS.length)
    expect(server.requests).toBe(times + 1)
  })

  it('that stays ill is given up, in one line that names it', async () => {
    const { client, server, url } = await double('vllm')
    server.faults.push(...Array<'500'>(6).fill('500'))
    await expect(client.ask(IDS)).rejects.toThrow(`server ${url}: HTTP 500, 6 times; expected an answer`)
  })

  it.each([
    ['vllm', 'fewer', /answers for 7 tokens; expected 9/],
    ['sglang', 'fewer', /answer/],
    ['completions', 'fewer', /answers for 7 tokens; expected 9/],
    ['vllm', 'NaN', /a number is NaN; expected JSON with finite/],
    ['sglang', 'NaN', /a number is NaN/],
    ['completions', 'NaN', /a number is NaN/],
    ['vllm', 'wrong-id', /names id 100\d\d after token 1; expected ids from 0 to 23/],
    ['sglang', 'wrong-id', /names id 100\d\d after token 1; expected ids from 0 to 23/],
    ['vllm', 'few-alternatives', /names [12] alternatives after token \d; expected 6/],
  ] as const)('of %s is not believed: %s', async (dialect, fault, message) => {
    const { client, server, url } = await double(dialect)
    server.faults.push(fault)
    const error = await client.ask(IDS).then(
      () => undefined,
      (reason: Error) => reason,
    )
    expect(error?.message).toMatch(message)
    expect(error?.message).toContain(url)
    // It is not asked again: it would say the same.
    expect(server.requests).toBe(1)
  })

  it('that reads tokens of its own is not believed', async () => {
    const { client } = await double('vllm', { before: [0] })
    await expect(client.ask(IDS.slice(1))).rejects.toThrow(/it read 9 tokens; expected 8/)
  })

  it('is asked no more at a time than it may be', async () => {
    const { client, server } = await double('vllm')
    await Promise.all(Array.from({ length: 12 }, (_, i) => client.ask(IDS.map((id) => (id + i) % VOCAB))))
    expect(server.atOnce).toBeLessThanOrEqual(3)
    expect(server.requests).toBe(12)
  })

  it('that takes text alone is not asked what text cannot say', async () => {
    const { client } = await double('completions')
    // What fills up a window is no text.
    const said = await client.ask([...IDS.slice(0, 5), 0, 0, 0])
    expect(said.map(({ size }) => size > 0)).toEqual([true, true, true, true, true, false, false, false])
    await expect(client.ask([3, 0, 4, 5, 6, 7, 8, 9])).rejects.toThrow(/takes text alone/)
  })
})

describe('an import', () => {
  const probed = (url: string, more = {}) =>
    probeServer(
      url,
      { model: 'tiny', limits: { concurrency: 2, timeout: 5 }, ...more },
      TEXT,
      VOCAB,
      IDS.slice(0, 3),
    )

  it.each([
    ['vllm', { ids: true, late: false, k: 10 }],
    ['sglang', { ids: true, late: false, k: 10 }],
    ['completions', { ids: false, late: true, k: 10 }],
  ] as const)('finds the dialect of %s, and how much it says', async (dialect, expected) => {
    const { url } = await double(dialect, { most: 12 })
    expect(await probed(url)).toMatchObject({ family: 'served', dialect, context: 62, ...expected })
    expect(await probed(url, { topK: 7 })).toMatchObject({ dialect, k: 7 })
    await expect(probed(url, { topK: 13 })).rejects.toThrow(/--top-k: it does not name 13 alternatives/)
  })

  it('of a server that tells nothing of a prompt is refused', async () => {
    const { url } = await double('vllm', { most: 0 })
    await expect(probed(url)).rejects.toThrow(
      /tells no log-probabilities of a prompt.*expected prompt_logprobs/,
    )
  })
})

describe('a key', () => {
  it('of a file or a variable opens the server, and no message repeats it', async () => {
    const key = 'sk-very-secret-1'
    const file = join(folder, 'key')
    writeFileSync(file, `${key}\n`, { mode: 0o600 })
    const { client } = await double('vllm', { key }, { key: { file } })
    expect(await client.ask(IDS)).toHaveLength(IDS.length)
    const other = await double('vllm', { key: 'another' }, { key: { file } })
    const error = await other.client.ask(IDS).catch((reason: Error) => reason)
    expect(String(error)).toMatch(/HTTP 401.*\(key\)/)
    expect(JSON.stringify(error) + String(error)).not.toContain(key)
  })

  it('that others can read is refused', () => {
    const file = join(folder, 'key')
    writeFileSync(file, 'sk-1')
    chmodSync(file, 0o640)
    expect(() => readKey({ file })).toThrow(/others can read the key; expected mode 600/)
    expect(() => readKey({ env: 'RETORT_NO_SUCH_KEY' })).toThrow(
      'RETORT_NO_SUCH_KEY: the variable is not set',
    )
  })
})

it.each([
  ['ftp://host/v1', /no way to ask/],
  ['http://me:secret@host/v1', /no name and no password/],
  ['http://host/v1?key=secret', /no query/],
  ['http://', /no address/],
])('the address %s is refused, and not repeated', (url, message) => {
  expect(() => parseServedUrl(url)).toThrow(message)
  expect(() => parseServedUrl(url)).not.toThrow(/secret/)
})

describe('a run', () => {
  const K = 6
  const rowOf = (): Teacher => config.teachers[0]!

  /** Losses of training steps with a teacher from the cache, each batch of it asked once. */
  async function trained(name: string, openLive: () => Promise<TeacherSource>, k = K, strategy = 'uniform') {
    const own = runConfig({ loss: { features: false, tau: 1 }, weighting: { strategy } }, 1)
    const disk = new Disk()
    stops.push(() => disk.close())
    const cached = new CachedTeacher({
      ...{
        dataDir: join(folder, name),
        row: rowOf(),
        reader: 'run',
        disk,
        tokens: 32,
        context: CONTEXT,
        tau: 1,
      },
      splits: new Map([
        [
          'train',
          {
            ...{ key: 'k', corpora: ['c'], count: 4, layers: [], sharedLayers: [] },
            at: (i: number) => batch(i),
            coding: { mode: 'top-k', vocab: VOCAB, k, samples: 1 },
          },
        ],
      ]),
      openLive,
      warn: (message) => expect.fail(message),
    })
    await cached.fill(
      () => Promise.resolve(true),
      () => {},
    )
    const step = new TrainingStep(own, new Student(own), createTables(model, CONTEXT), [cached])
    const losses: number[] = []
    for (let i = 0; i < 4; i++) {
      await cached.prepare(batch(i).inputs, { split: 'train', batch: i, first: 0 })
      losses.push(numberOf((await step.run(i + 1, batch(i))).loss))
    }
    cached.dispose()
    return losses
  }

  it.each(['vllm', 'sglang'] as const)('learns from %s as from the same teacher here', async (dialect) => {
    const { client, server } = await double(dialect)
    const here = await trained('here', async () => local(CONTEXT).source)
    const served = await trained('served', async () => servedSource(client, rowOf(), CONTEXT))
    for (const [i, loss] of served.entries()) expect(Math.abs(loss - here[i]!)).toBeLessThan(1e-5)
    expect(server.tokens).toBe(4 * 4 * (CONTEXT + 1))
    // What was answered is kept: a rerun asks nothing.
    const again = await trained('served', () => expect.fail('asked again'))
    expect(again).toEqual(served)
  })

  it('weighs by an entropy that is exact where the server says all', async () => {
    const { client } = await double('vllm', { most: VOCAB }, {}, VOCAB)
    const here = await trained('here', async () => local(CONTEXT).source, VOCAB, 'entropy')
    const served = await trained(
      'served',
      async () => servedSource(client, rowOf(), CONTEXT),
      VOCAB,
      'entropy',
    )
    for (const [i, loss] of served.entries()) expect(Math.abs(loss - here[i]!)).toBeLessThan(1e-5)
  })
})
