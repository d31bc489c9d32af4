import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { parse, run, VERSION } from '#contract'
import {
  Catalogue,
  emptyCatalogue,
  progressOf,
  rebuildCatalogue,
  RunFolder,
  takeLock,
  UnreadableRow,
} from '.'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(dataDir, { recursive: true, force: true })
})
const file = () => join(dataDir, 'catalogue.json')
const row = parse(run, {
  ...{ id: 'one', name: 'one', kind: 'student', method: 'entropy', status: 'running', step: 0, steps: 9 },
  ...{ parameters: 1, teachers: [], corpora: [], seed: 1, createdAt: '2026-01-01T00:00:00.000Z' },
})

describe('the lock', () => {
  it('has one holder, who is named to the other', () => {
    const lock = takeLock(dataDir)
    expect(() => takeLock(dataDir)).toThrow(`is in use by process ${process.pid}`)
    lock.release()
    takeLock(dataDir).release()
    expect(existsSync(join(dataDir, 'lock.json'))).toBe(false)
  })

  it('is taken over from a process that is gone, and from one that died while it wrote', () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    const { host } = JSON.parse(lockText()) as { host: string }
    for (const left of [JSON.stringify({ pid, host, since: 'then', nonce: 'x' }), '{"pid":']) {
      writeFileSync(join(dataDir, 'lock.json'), left)
      takeLock(dataDir).release()
    }
  })

  function lockText(): string {
    const lock = takeLock(dataDir)
    const text = readFileSync(join(dataDir, 'lock.json'), 'utf8')
    lock.release()
    return text
  }
})

describe('the catalogue', () => {
  it('gives back what was written, and writes nothing when a change throws', () => {
    const catalogue = new Catalogue(dataDir, 'write')
    catalogue.update((data) => (data.settings.threads = 3))
    expect(new Catalogue(dataDir, 'read').data.settings.threads).toBe(3)
    const before = readFileSync(file(), 'utf8')
    expect(() =>
      catalogue.update(() => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(readFileSync(file(), 'utf8')).toBe(before)
  })

  it('shows what comes of a run, writes it with the next change, and keeps it when a change is undone', () => {
    const catalogue = new Catalogue(dataDir, 'write')
    const of = (from: Catalogue) => from.data.runs[0]!
    catalogue.update((data) => data.runs.push(row))
    const before = readFileSync(file(), 'utf8')
    catalogue.showRun(of(catalogue), { step: 7 })
    catalogue.showRun(of(catalogue), { best: { step: 5, crossEntropy: 2 } })
    expect(() => catalogue.showRun(of(catalogue), { step: -1 })).toThrow(UnreadableRow)
    expect(of(catalogue)).toMatchObject({ step: 7, best: { step: 5 } })
    catalogue.flush()
    expect(readFileSync(file(), 'utf8')).toBe(before)
    expect(() => catalogue.update((data) => (data.settings.threads = -1))).toThrow(UnreadableRow)
    expect(of(catalogue)).toMatchObject({ step: 7, best: { step: 5 } })
    catalogue.update((data) => (data.settings.threads = 2))
    expect(of(new Catalogue(dataDir, 'read'))).toEqual(of(catalogue))
  })

  it.each([
    ['cut off', '{"schemaVersion": 1, "runs": ['],
    ['of another shape', '{"schemaVersion": 1, "runs": {}}'],
    ['of a newer Retort', '{"schemaVersion": 99}'],
  ])('that is %s is refused by name and left as it is; a rebuild keeps it', (_what, text) => {
    writeFileSync(file(), text)
    expect(() => new Catalogue(dataDir, 'write')).toThrow(/catalogue\.json.*doctor --rebuild/)
    expect(readFileSync(file(), 'utf8')).toBe(text)
    const { aside } = rebuildCatalogue(dataDir)
    expect(readFileSync(aside!, 'utf8')).toBe(text)
    expect(new Catalogue(dataDir, 'read').data).toEqual(emptyCatalogue())
  })

  it('has settings within their bounds, the others as they were', () => {
    const kept = { threads: 1e9, cacheGb: 7 }
    writeFileSync(file(), JSON.stringify({ schemaVersion: 1, settings: kept }))
    const { settings } = new Catalogue(dataDir, 'read').data
    expect(settings).toMatchObject({ threads: 0, cacheGb: 7 })
  })

  it.each(['constructor', 'toString', '__proto__'])(
    'has no setting for being named as every object: %s',
    (name) => {
      writeFileSync(file(), `{"schemaVersion": 1, "settings": {"cacheGb": 7, "${name}": 3}}`)
      expect(() => new Catalogue(dataDir, 'read').data.settings.cacheGb).not.toThrow(/is not a function/)
    },
  )

  it('a rebuild says which run folders it could not read, and leaves no temporary files', () => {
    mkdirSync(join(dataDir, 'runs', 'broken'), { recursive: true })
    writeFileSync(join(dataDir, 'runs', 'broken', 'config.json'), '{}')
    const { runs, dropped } = rebuildCatalogue(dataDir)
    expect(runs).toBe(0)
    expect(dropped).toContainEqual({
      list: 'runs',
      id: 'broken',
      why: expect.stringMatching(/broken.config\.json: /),
    })
    expect(readdirSync(dataDir).sort()).toEqual(['catalogue.json', 'runs'])
  })
})

describe('a change that could not be read again', () => {
  it('is refused by row and field, undone, and not written', () => {
    const catalogue = new Catalogue(dataDir, 'write')
    catalogue.update((data) => (data.settings.cacheGb = 7))
    const before = readFileSync(file(), 'utf8')
    const change = () => catalogue.update((data) => (data.settings.cacheGb = Infinity))
    expect(change).toThrow(/^the catalogue could not be read again with this in settings: cacheGb: /)
    expect(readFileSync(file(), 'utf8')).toBe(before)
    expect(catalogue.data.settings.cacheGb).toBe(7)
    catalogue.update((data) => (data.settings.threads = 2))
    expect(new Catalogue(dataDir, 'read').data.settings).toMatchObject({ threads: 2, cacheGb: 7 })
  })

  it('is found in whatever row it is, also in one that was there before', () => {
    const catalogue = new Catalogue(dataDir, 'write')
    const row = (id: string) => ({
      id,
      name: id,
      definition: '',
      builtIn: false,
      createdAt: at,
      updatedAt: at,
    })
    const at = '2026-01-01T00:00:00.000Z'
    catalogue.update((data) => data.experiments.push(row('a'), row('b')))
    expect(() => catalogue.update((data) => (data.experiments[1]!.updatedAt = 'now'))).toThrow(
      /experiments, row b: updatedAt: /,
    )
    expect(new Catalogue(dataDir, 'read').data).toEqual(catalogue.data)
    expect(catalogue.data.experiments.map(({ updatedAt }) => updatedAt)).toEqual([at, at])
  })
})

describe('a run whose folder is damaged', () => {
  it('keeps its row, by what of it can be read, and the damage is told by file and line', () => {
    const run = join(dataDir, 'runs', 'hurt')
    mkdirSync(join(run, 'checkpoints', 'step-000002'), { recursive: true })
    const events = [{ at: '2026-01-01T00:00:00.000Z', event: 'started', step: 0 }]
    writeFileSync(join(run, 'events.jsonl'), `${events.map((event) => JSON.stringify(event)).join('\n')}\n`)
    const step = (n: number) =>
      JSON.stringify({
        step: n,
        tokens: 32 * n,
        seconds: n,
        loss: 2,
        ce: 2,
        gradNorm: 1,
        learningRate: 1,
        tokensPerSecond: 32,
      })
    writeFileSync(join(run, 'metrics.jsonl'), `${step(1)}\n{"step":2,"tok\n${step(3)}\n`)
    writeFileSync(join(run, 'checkpoints', 'step-000002', 'checkpoint.json'), '{')
    const problems: string[] = []
    const row = progressOf(new RunFolder(dataDir, 'hurt'), ({ message }) => problems.push(message))
    expect(row).toMatchObject({ status: 'failed', step: 3 })
    expect(problems).toEqual([
      expect.stringMatching(/metrics\.jsonl: line 2: it cannot be read as JSON/),
      expect.stringMatching(/step-000002.checkpoint\.json: it cannot be read as JSON/),
    ])
    expect(row.reason).toBe(['its worker ended without a word', ...problems].join('; '))
    expect(() => new RunFolder(dataDir, 'hurt').metrics()).toThrow(problems[0])
  })
})

describe('the version', () => {
  it('is that of package.json', () => {
    const root = new URL('../../package.json', import.meta.url)
    expect((JSON.parse(readFileSync(root, 'utf8')) as { version: string }).version).toBe(VERSION)
  })
})
