import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listHubCache } from '../../../files'
import { readHuggingFace } from '../huggingface'
import { startFakeHub, type FakeHub } from './fakeHub'
import { fetchModel, type FetchOptions } from './fetchModel'

const families = resolve(import.meta.dirname, '../../../../../shared/data/families')
const there = existsSync(families)
if (!there) console.warn(`skipped for want of ${families}: fetching models from a Hub`)

describe.skipIf(!there)('a model of the Hub', () => {
  const ID = 'tiny/qwen2-0.1'
  const NAME = `hf:${ID}`
  const FOLDER = join(families, 'qwen2')
  const WEIGHTS = 'model.safetensors'
  let folder: string
  let cache: string
  let repository: string
  let hub: FakeHub
  const opened: FakeHub[] = []

  const open = async (...args: Parameters<typeof startFakeHub>) => {
    hub = await startFakeHub(...args)
    opened.push(hub)
  }
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'retort-'))
    cache = join(folder, 'hub')
    repository = join(cache, 'models--tiny--qwen2-0.1')
    await open(ID, FOLDER)
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const settings = (more: object = {}) => ({ endpoint: hub.endpoint, cache, offline: false, ...more })
  const phases: string[] = []
  const fetchIt = (more: object = {}, name = NAME, options: Partial<FetchOptions> = {}) => {
    phases.length = 0
    return fetchModel(name, (phase) => phases.push(phase), {
      wanted: { model: true, tokenizer: true },
      settings: settings(more),
      firstWaitMs: 0,
      ...options,
    })
  }
  const blobs = () => readdirSync(join(repository, 'blobs')).sort()
  const blob = (file: string) => join(repository, 'blobs', hub.digestOf(file))
  /** The ranges that were asked of large files; `all` where none was given. */
  const ranges = () =>
    hub.asked.flatMap(({ method, origin, range }) =>
      origin === 'cdn' && method === 'GET' ? [range ?? 'all'] : [],
    )

  it('is fetched into the cache as Python’s tools lay it out, and is then there without network', async () => {
    const snapshot = await fetchIt()
    expect(snapshot).toBe(join(repository, 'snapshots', hub.commit))
    expect(readFileSync(join(repository, 'refs', 'main'), 'utf8')).toBe(hub.commit)
    const names = [
      'config.json',
      'generation_config.json',
      WEIGHTS,
      'tokenizer.json',
      'tokenizer_config.json',
    ]
    expect(readdirSync(snapshot).sort()).toEqual(names)
    for (const name of names) {
      expect(readlinkSync(join(snapshot, name))).toBe(`../../blobs/${hub.digestOf(name)}`)
      expect(readFileSync(join(snapshot, name)).equals(readFileSync(join(FOLDER, name)))).toBe(true)
    }
    expect(blobs()).toEqual(names.map((name) => hub.digestOf(name)).sort())
    expect(readHuggingFace(snapshot).config.family).toBe('qwen2')
    await hub.close()
    expect(await fetchIt()).toBe(snapshot)
    expect(await fetchIt({ offline: true })).toBe(snapshot)
    expect(await fetchIt({ offline: true }, `${NAME}@${hub.commit}`)).toBe(snapshot)
    expect(phases).toEqual([])
    expect(listHubCache(cache)).toEqual([
      { name: ID, path: NAME, family: 'qwen2', known: true, missing: undefined, bytes: expect.any(Number) },
    ])
  })

  it('comes at a revision, in shards, without what is not needed', async () => {
    await open(ID, join(families, 'llama2-sharded'), {
      more: { 'consolidated.safetensors': 'x', 'a.bin': 'y' },
    })
    const snapshot = await fetchIt({}, `${NAME}@refs/pr/1`)
    expect(readFileSync(join(repository, 'refs/refs/pr/1'), 'utf8')).toBe(hub.commit)
    expect(readdirSync(snapshot).filter((name) => name.endsWith('.safetensors'))).toHaveLength(7)
    expect(existsSync(join(snapshot, 'consolidated.safetensors'))).toBe(false)
    expect(existsSync(join(snapshot, 'a.bin'))).toBe(false)
    expect(listHubCache(cache)).toMatchObject([{ name: `${ID}@refs/pr/1`, path: `${NAME}@refs/pr/1` }])
  })

  it('goes on where the connection broke, asking for the rest alone', async () => {
    hub.faults.cutAfter = 50_000
    await fetchIt()
    const [first, second, ...more] = ranges()
    expect([first, more]).toEqual(['all', []])
    // What of 50,000 sent bytes had arrived is the system's affair.
    const from = Number(/^bytes=(\d+)-$/.exec(second!)![1])
    expect(from).toBeGreaterThan(0)
    expect(from).toBeLessThanOrEqual(50_000)
    expect(phases.join()).toMatch(/another try in 0 s/)
  })

  it('goes on where an earlier process was killed, and starts anew where ranges are not heeded', async () => {
    const whole = readFileSync(join(FOLDER, WEIGHTS))
    mkdirSync(join(repository, 'blobs'), { recursive: true })
    const part = `${blob(WEIGHTS)}.incomplete`
    writeFileSync(part, whole.subarray(0, 60_001))
    await fetchIt()
    expect(ranges()).toEqual(['bytes=60001-'])
    expect(readFileSync(blob(WEIGHTS)).equals(whole)).toBe(true)
    expect(existsSync(part)).toBe(false)
    rmSync(repository, { recursive: true })
    mkdirSync(join(repository, 'blobs'), { recursive: true })
    writeFileSync(part, whole.subarray(0, 60_001))
    hub.faults.noRanges = true
    await fetchIt()
    expect(readFileSync(blob(WEIGHTS)).equals(whole)).toBe(true)
  })

  it('with other bytes than its digest says is refused, and nothing of it stays', async () => {
    hub.faults.wrongBytes = true
    await expect(fetchIt()).rejects.toThrow(/model\.safetensors came with other bytes than its digest/)
    expect(blobs().filter((name) => name.startsWith(hub.digestOf(WEIGHTS)))).toEqual([])
    expect(existsSync(join(repository, 'snapshots', hub.commit, WEIGHTS))).toBe(false)
    expect(existsSync(join(repository, 'refs', 'main'))).toBe(false)
    await expect(fetchIt({ offline: true })).rejects.toThrow('it is not in the cache')
    hub.faults.wrongBytes = false
    await fetchIt()
    expect(ranges()).toEqual(['all', 'all'])
  })

  it('that was damaged on disk after a break is not taken for whole', async () => {
    const whole = readFileSync(join(FOLDER, WEIGHTS))
    mkdirSync(join(repository, 'blobs'), { recursive: true })
    writeFileSync(`${blob(WEIGHTS)}.incomplete`, Buffer.alloc(whole.length, 7))
    await expect(fetchIt()).rejects.toThrow(/other bytes/)
    await fetchIt()
    expect(readFileSync(blob(WEIGHTS)).equals(whole)).toBe(true)
  })

  it('is fetched with the token, which no other server sees', async () => {
    hub.faults.token = 'hf_secret'
    await fetchIt({ token: 'hf_secret' })
    const seen = (origin: string) =>
      new Set(hub.asked.filter((one) => one.origin === origin).map(({ authorization }) => authorization))
    expect(seen('hub')).toEqual(new Set(['Bearer hf_secret']))
    expect(seen('cdn')).toEqual(new Set([undefined]))
  })

  it('that is gated or not there is refused in a line that says what to do', async () => {
    hub.faults.token = 'hf_right'
    await expect(fetchIt()).rejects.toMatchObject({
      code: 'bad-input',
      message: `${NAME}: the model is gated: its owners say who may read it; expected HF_TOKEN of an account that was given access on ${hub.endpoint}/${ID}`,
    })
    const wrong = fetchIt({ token: 'hf_wrong' })
    await expect(wrong).rejects.toThrow('expected a token (HF_TOKEN) of an account')
    await expect(wrong).rejects.not.toThrow('hf_wrong')
    hub.faults.token = undefined
    await expect(fetchIt({}, 'hf:tiny/other')).rejects.toMatchObject({
      code: 'bad-input',
      message: `hf:tiny/other: there is no such model, or no revision "main" of it; expected a model of ${hub.endpoint}`,
    })
    await expect(fetchIt({}, `${NAME}@v2`)).rejects.toThrow(`${NAME}@v2: there is no revision "v2"`)
    hub.faults.status = { times: 1, code: 401 }
    await expect(fetchIt()).rejects.toThrow('it is gated, private or not there at all')
    expect(existsSync(repository)).toBe(false)
  })

  it('is asked for again where the Hub is busy, as often and as late as it may', async () => {
    hub.faults.status = { times: 2, code: 429, headers: { 'retry-after': '0' } }
    await fetchIt()
    expect(phases.filter((phase) => phase.includes('asked too often (429)'))).toHaveLength(2)
    rmSync(repository, { recursive: true })
    hub.asked.length = 0
    hub.faults.status = { times: 100, code: 503 }
    await expect(fetchIt()).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/503 .*5 times/),
    })
    expect(hub.asked).toHaveLength(5)
    hub.faults.status = { times: 100, code: 429, headers: { 'retry-after': '3600' } }
    await expect(fetchIt()).rejects.toThrow('asks to wait 3600 s')
  })

  it('without a network is said to be nowhere', async () => {
    await hub.close()
    await expect(fetchIt()).rejects.toMatchObject({
      code: 'failed',
      message: `${NAME} is not in the cache (${cache}), and ${new URL(hub.endpoint).host} cannot be reached (ECONNREFUSED)`,
    })
  })

  it('is not asked for when the tools of the Hub are offline', async () => {
    await expect(fetchIt({ offline: true })).rejects.toMatchObject({ code: 'bad-input' })
    expect(hub.asked).toEqual([])
  })

  it('is not followed to what is not http', async () => {
    for (const location of ['file:///x', 'ftp://127.0.0.1/x', 'http://a:b@127.0.0.1/x', 'data:,x']) {
      hub.faults.location = location
      await expect(fetchIt()).rejects.toThrow('an address that is not followed')
    }
  })

  it.each([
    ['a pickle alone', [WEIGHTS], 'pytorch_model.bin', /: the weights are a pickle.*save_pretrained/],
    ['an adapter alone', [WEIGHTS, 'config.json'], 'adapter_config.json', /: it is an adapter.*merge/],
    ['an adapter beside a whole model', [], 'adapter_config.json', /: it is an adapter.*merge/],
  ])('that is %s is refused with the way to convert it, before it is fetched', async (_, left, name, why) => {
    await open(ID, FOLDER, { left, more: { [name]: 'x' } })
    await expect(fetchIt()).rejects.toThrow(new RegExp(`${name}${why.source}`))
    expect(hub.asked.map(({ path }) => path)).toEqual([`/api/models/${ID}/revision/main`])
  })

  it('of which a tokenizer alone is wanted gives no weights', async () => {
    const snapshot = await fetchIt({}, NAME, { wanted: { model: false, tokenizer: true } })
    expect(readdirSync(snapshot).sort()).toEqual(['tokenizer.json', 'tokenizer_config.json'])
    expect(ranges()).toEqual([])
    await fetchIt()
    expect(ranges()).toEqual(['all'])
  })

  it('is judged by its configuration before the weights come', async () => {
    const check = () => {
      throw new Error('another family')
    }
    await expect(fetchIt({}, NAME, { check })).rejects.toThrow('another family')
    expect(ranges()).toEqual([])
  })

  it('that another process fetches is left to it', async () => {
    hub.faults.stallAfter = 1000
    const first = fetchIt()
    first.catch(() => {})
    while (!ranges().length) await new Promise((resolve) => setTimeout(resolve, 5))
    await expect(fetchIt()).rejects.toMatchObject({ code: 'conflict' })
    hub.faults.stallAfter = undefined
    hub.dropCdn()
    await first
  })

  it('whose cache is laid out by hand, or damaged, is read or left out', async () => {
    const snapshot = join(cache, 'models--tiny--copied', 'snapshots', 'a'.repeat(40))
    mkdirSync(join(cache, 'models--tiny--copied', 'refs'), { recursive: true })
    cpSync(FOLDER, snapshot, { recursive: true })
    writeFileSync(join(cache, 'models--tiny--copied', 'refs', 'main'), `${'a'.repeat(40)}\n`)
    expect(await fetchIt({ offline: true }, 'hf:tiny/copied')).toBe(snapshot)
    for (const [repo, config] of [
      ['models--old', '{"model_type":"gpt2"}'],
      ['models--tiny--other', '{"model_type":"mamba"}'],
      ['models--tiny--broken', '{'],
      ['datasets--tiny--text', '{"model_type":"gpt2"}'],
    ] as const) {
      const place = join(cache, repo, 'snapshots', 'b'.repeat(40))
      mkdirSync(place, { recursive: true })
      writeFileSync(join(place, 'config.json'), config)
    }
    writeFileSync(join(cache, 'models--tiny--other', 'snapshots', 'b'.repeat(40), 'pytorch_model.bin'), 'x')
    const b = 'b'.repeat(40)
    expect(listHubCache(cache).map(({ bytes: _, ...row }) => row)).toEqual([
      {
        name: `old@${b}`,
        path: join(cache, 'models--old', 'snapshots', b),
        family: 'gpt2',
        known: true,
        missing: WEIGHTS,
      },
      { name: 'tiny/copied', path: 'hf:tiny/copied', family: 'qwen2', known: true, missing: undefined },
      {
        name: `tiny/other@${b}`,
        path: `hf:tiny/other@${b}`,
        family: 'mamba',
        known: false,
        missing: WEIGHTS,
      },
    ])
    await expect(fetchIt({ offline: true }, `hf:tiny/other@${b}`)).rejects.toThrow(/are a pickle/)
    expect(listHubCache(join(cache, 'nowhere'))).toEqual([])
  })
})
