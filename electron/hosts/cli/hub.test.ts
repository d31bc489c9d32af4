/* eslint-disable import-x/no-restricted-paths -- the double of the Hub belongs to the engine */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commandLine } from '../built'
import { startFakeHub, type FakeHub } from '../../engine/model/hub/fakeHub'

const root = resolve(import.meta.dirname, '../../..')
const model = resolve(root, '../shared/data/families/qwen2')
const there = existsSync(model)
if (!there) console.warn(`skipped for want of ${model}: the command line and a Hub`)

describe.skipIf(!there)('a model of the Hub, by the command line', () => {
  const ID = 'tiny/qwen2'
  const WEIGHTS = 'model.safetensors'
  const TOKEN = 'hf_never_written_down'
  let folder: string
  let dataDir: string
  let hub: FakeHub

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'retort-'))
    dataDir = join(folder, 'data')
    hub = await startFakeHub(ID, model)
  })
  afterEach(async () => {
    await hub.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function start(path: string, more: Record<string, string> = {}) {
    const { HF_TOKEN: _, HF_HUB_CACHE: __, HF_HUB_OFFLINE: ___, ...env } = process.env
    return spawn(
      process.execPath,
      [commandLine, 'import', 'teacher', path, '--data-dir', dataDir, '--json'],
      { cwd: root, env: { ...env, HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'hf'), ...more } },
    )
  }
  /** The command as a person runs it. */
  async function imported(path = `hf:${ID}`, more: Record<string, string> = {}) {
    const child = start(path, more)
    let [out, said] = ['', '']
    child.stdout.on('data', (text) => (out += text))
    child.stderr.on('data', (text) => (said += text))
    const [status] = (await once(child, 'close')) as [number | null]
    const lines = said.split('\n').filter((line) => line && !/^([█░]+ +\d+ %|warning: )/.test(line))
    return {
      status,
      lines,
      row: status === 0 ? (JSON.parse(out) as { id: string; digest: string }) : undefined,
    }
  }
  const library = () => {
    const nouns = ['teachers', 'tokenizers'].map((noun) => join(dataDir, 'library', noun))
    return nouns.flatMap((noun) => (existsSync(noun) ? readdirSync(noun) : []))
  }
  const blob = () => join(folder, 'hf/hub/models--tiny--qwen2/blobs', hub.digestOf(WEIGHTS))
  const ranges = () =>
    hub.asked.flatMap(({ method, origin, range }) =>
      origin === 'cdn' && method === 'GET' ? [range ?? 'all'] : [],
    )

  it('goes on where it was when it is killed, and is there without the Hub afterwards', async () => {
    hub.faults.stallAfter = 60_000
    const child = start(`hf:${ID}`)
    const part = `${blob()}.incomplete`
    const ended = once(child, 'close')
    while (child.exitCode === null && (statSync(part, { throwIfNoEntry: false })?.size ?? 0) < 60_000)
      await sleep(10)
    child.kill('SIGKILL')
    await ended
    expect(library()).toEqual([])
    hub.faults.stallAfter = undefined

    const first = await imported()
    expect(first.lines).toEqual([])
    expect(ranges()).toEqual(['all', 'bytes=60000-'])
    expect(existsSync(part)).toBe(false)
    expect(readFileSync(blob()).equals(readFileSync(join(model, WEIGHTS)))).toBe(true)

    await hub.close()
    rmSync(dataDir, { recursive: true })
    const { row, lines } = await imported()
    expect(lines).toEqual([])
    expect(row!.digest).toBe(first.row!.digest)
    expect(await imported('hf:tiny/other')).toMatchObject({
      status: 1,
      lines: [expect.stringMatching(/^hf:tiny\/other is not in the cache .*ECONNREFUSED/)],
    })
    expect(library()).toHaveLength(2)
  })

  it('is refused in one line where it is gated, not there, or comes with other bytes', async () => {
    hub.faults.token = TOKEN
    expect(await imported()).toMatchObject({
      status: 2,
      lines: [expect.stringMatching(/^hf:tiny\/qwen2: the model is gated.*expected HF_TOKEN of an account/)],
    })
    hub.faults.token = undefined
    expect(await imported('hf:tiny/other')).toMatchObject({
      status: 2,
      lines: [expect.stringMatching(/^hf:tiny\/other: there is no such model/)],
    })
    hub.faults.wrongBytes = true
    expect(await imported()).toMatchObject({
      status: 2,
      lines: [
        expect.stringMatching(/^hf:tiny\/qwen2: model\.safetensors came with other bytes than its digest/),
      ],
    })
    expect(library()).toEqual([])
    expect(existsSync(blob())).toBe(false)
  })

  it('comes with the token of the environment, which is written nowhere', async () => {
    hub.faults.token = TOKEN
    const { status, row } = await imported(`hf:${ID}`, { HF_TOKEN: TOKEN })
    expect(status).toBe(0)
    expect(existsSync(join(dataDir, 'library/teachers', row!.id, WEIGHTS))).toBe(true)
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    const holding = files.filter(
      (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(TOKEN),
    )
    expect(holding.map(({ name }) => name)).toEqual([])
  })
})
