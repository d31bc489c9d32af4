import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { VERSION } from '#contract'
import { Catalogue, emptyCatalogue, rebuildCatalogue, takeLock } from '.'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(dataDir, { recursive: true, force: true })
})
const file = () => join(dataDir, 'catalogue.json')

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

  it('writes lazily within a second, and at once when it is flushed', () => {
    const catalogue = new Catalogue(dataDir, 'write')
    catalogue.updateLazily((data) => (data.settings.threads = 5))
    expect(existsSync(file())).toBe(false)
    catalogue.flush()
    expect(new Catalogue(dataDir, 'read').data.settings.threads).toBe(5)
  })

  it.each([
    ['cut off', '{"schemaVersion": 1, "runs": ['],
    ['of another shape', '{"schemaVersion": 1, "runs": {}}'],
    ['of a newer Retort', '{"schemaVersion": 99}'],
  ])('that is %s is refused by name and left as it is; a rebuild keeps it', (_what, text) => {
    writeFileSync(file(), text)
    expect(() => new Catalogue(dataDir, 'write')).toThrow(/catalogue\.json.*doctor --rebuild/)
    expect(readFileSync(file(), 'utf8')).toBe(text)
    const { kept } = rebuildCatalogue(dataDir)
    expect(readFileSync(kept!, 'utf8')).toBe(text)
    expect(new Catalogue(dataDir, 'read').data).toEqual(emptyCatalogue())
  })

  it('has settings within their bounds, the others as they were', () => {
    const kept = { threads: 1e9, cacheGb: 7 }
    writeFileSync(file(), JSON.stringify({ schemaVersion: 1, settings: kept }))
    const { settings } = new Catalogue(dataDir, 'read').data
    expect(settings).toMatchObject({ threads: 0, cacheGb: 7 })
  })

  it('a rebuild says which run folders it could not read, and leaves no temporary files', () => {
    mkdirSync(join(dataDir, 'runs', 'broken'), { recursive: true })
    writeFileSync(join(dataDir, 'runs', 'broken', 'config.json'), '{}')
    const { runs, problems } = rebuildCatalogue(dataDir)
    expect(runs).toBe(0)
    expect(problems.join()).toMatch(/broken/)
    expect(readdirSync(dataDir).sort()).toEqual(['catalogue.json', 'runs'])
  })
})

describe('the version', () => {
  it('is that of package.json', () => {
    const root = new URL('../../package.json', import.meta.url)
    expect((JSON.parse(readFileSync(root, 'utf8')) as { version: string }).version).toBe(VERSION)
  })
})
