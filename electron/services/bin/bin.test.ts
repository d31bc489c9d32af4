import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServices, type Services } from '..'
import { paths } from '../../store'

let folder: string
let dataDir: string
let services: Services
const now = '2026-01-01T00:00:00.000Z'
const digest = '0'.repeat(64)

async function open(): Promise<Services> {
  const spawnWorker = () => {
    throw new Error('nothing here needs a worker')
  }
  return createServices({ dataDir, spawnWorker, host: 'web' })
}
const corpus = (id: string) => ({
  id,
  name: id,
  format: 'text' as const,
  source: 'here',
  bytes: 5,
  documents: 1,
  heldOutDocuments: 1,
  digest,
  sample: '',
  createdAt: now,
})
const run = (id: string, status: 'completed' | 'queued' = 'completed') => ({
  id,
  name: id,
  kind: 'student' as const,
  method: 'cross-entropy' as const,
  status,
  step: 1,
  steps: 1,
  parameters: 1,
  teachers: [],
  foreign: [],
  corpora: [{ id: 'plays', name: 'plays' }],
  seed: 1,
  priority: 0,
  place: 0,
  retries: 0,
  autoCache: 'off' as const,
  sharedAlignments: [],
  teacherOutputs: [],
  createdAt: now,
})
const text = () => join(paths.libraryItem(dataDir, 'corpora', 'plays'), 'documents.jsonl')

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  dataDir = join(folder, 'data')
  services = await open()
  services.rooms.context.catalogue.update((data) => {
    data.corpora.push(corpus('plays'))
    data.runs.push(run('first'))
    data.scores.push({
      model: 'm',
      corpus: 'plays',
      tokens: 9,
      bytes: 5,
      crossEntropy: 1,
      perplexity: 2,
      bitsPerByte: 1,
    })
  })
  mkdirSync(join(text(), '..'), { recursive: true })
  writeFileSync(text(), 'texts')
})
afterEach(async () => {
  await services.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('what is removed', () => {
  it('goes to the bin with its files and scores, and comes back as it was', async () => {
    const before = structuredClone(services.rooms.context.catalogue.data)
    const entry = await services.call('corpora.remove', { id: 'plays' })
    expect(entry).toMatchObject({ noun: 'corpora', name: 'plays', bytes: 5 })
    expect(await services.call('corpora.list', {})).toEqual([])
    expect(await services.call('models.scores', {})).toEqual([])
    expect(existsSync(text())).toBe(false)
    // It is there for the next host too.
    await services.close()
    services = await open()
    expect(await services.call('bin.list', {})).toEqual([entry])
    expect(await services.call('bin.restore', { id: entry.id })).toEqual({
      noun: 'corpora',
      id: 'plays',
      name: 'plays',
    })
    expect(services.rooms.context.catalogue.data).toEqual(before)
    expect(readFileSync(text(), 'utf8')).toBe('texts')
    expect(await services.call('bin.list', {})).toEqual([])
  })

  it('comes back under another name where its own is taken, in the catalogue and in its folder', async () => {
    const { id } = await services.call('corpora.remove', { id: 'plays' })
    services.rooms.context.catalogue.update((data) =>
      data.corpora.push({ ...corpus('other'), name: 'plays' }),
    )
    expect(await services.call('bin.restore', { id })).toMatchObject({ name: 'plays-2' })
    const row = JSON.parse(readFileSync(join(text(), '..', 'row.json'), 'utf8')) as { name: string }
    expect(row.name).toBe('plays-2')
  })

  it('is not removed while a run that is not through reads it', async () => {
    services.rooms.context.catalogue.update((data) => data.runs.push(run('next', 'queued')))
    await expect(services.call('corpora.remove', { id: 'plays' })).rejects.toThrow(
      '"plays" is in use by run "next"',
    )
    await expect(services.call('runs.remove', { id: 'next' })).rejects.toThrow('is queued; stop it')
    expect(existsSync(text())).toBe(true)
  })

  it('is deleted when the bin is emptied, when its time is over, and not before', async () => {
    const { removedAt } = await services.call('corpora.remove', { id: 'plays' })
    await services.call('runs.remove', { id: 'first' })
    const { bin } = services.rooms
    const day = 86_400_000
    bin.sweep(Date.parse(removedAt) + 29 * day)
    expect(bin.list()).toHaveLength(2)
    expect(await services.call('bin.empty', { ids: ['runs-first'] })).toEqual({ entries: 1, bytes: 0 })
    expect(bin.list()).toHaveLength(1)
    bin.sweep(Date.parse(removedAt) + 31 * day)
    expect(bin.list()).toEqual([])
    expect(existsSync(join(paths.bin(dataDir), 'corpora-plays'))).toBe(false)
  })
})

describe('a crash while something is removed', () => {
  it('before the row left the catalogue: nothing was removed', async () => {
    const { catalogue } = services.rooms.context
    const before = structuredClone(catalogue.data)
    const { id } = await services.call('corpora.remove', { id: 'plays' })
    renameSync(join(paths.bin(dataDir), id, 'files'), join(text(), '..'))
    catalogue.update((data) => Object.assign(data, before))
    expect(await services.call('bin.list', {})).toEqual([])
    await services.call('bin.empty', {})
    expect(readFileSync(text(), 'utf8')).toBe('texts')
  })

  it('before its files were moved: it comes back all the same, or goes with them', async () => {
    for (const back of [true, false]) {
      const { id } = await services.call('corpora.remove', { id: 'plays' })
      renameSync(join(paths.bin(dataDir), id, 'files'), join(text(), '..'))
      if (back) await services.call('bin.restore', { id })
      else await services.call('bin.empty', { ids: [id] })
      expect(existsSync(text())).toBe(back)
    }
  })
})
