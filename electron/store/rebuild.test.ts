/* eslint-disable max-lines -- one catalogue is furnished for all of it */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Run, Teacher } from '#contract'
import { binName, Catalogue, catalogueText, paths, rebuildCatalogue, type CatalogueData } from '.'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(dataDir, { recursive: true, force: true })
})
const file = () => paths.catalogue(dataDir)
const copies = () => readdirSync(paths.goodCopies(dataDir)).sort()
const read = () => new Catalogue(dataDir, 'read').data

const at = '2026-01-01T00:00:00.000Z'
const digest = '0'.repeat(64)
const experiment = (id: string) => ({
  id,
  name: `${id} "é" {[`,
  definition: 'name: x\ncorpus: plays\n',
  builtIn: false,
  createdAt: at,
  updatedAt: at,
})
const grid = (id: string) => ({
  id,
  name: id,
  definition: 'axes: {}',
  status: 'completed' as const,
  axes: { 'loss.tau': [1, 2] },
  seeds: [1],
  cells: [{ axes: { 'loss.tau': 1 }, seed: 1, digest, run: 'first' }],
  seconds: 3,
  createdAt: at,
  updatedAt: at,
})
const score = (model: string, corpus: string) => ({
  model,
  corpus,
  tokens: 9,
  bytes: 5,
  crossEntropy: 1,
  perplexity: 2.5,
  bitsPerByte: 1,
})
const report = (id: string) => ({
  id,
  name: id,
  format: 'html' as const,
  runs: ['first'],
  file: `${id}.html`,
  bytes: 4,
  createdAt: at,
})
const teacher: Teacher = {
  id: 'cook',
  name: 'cook',
  source: 'derived',
  tokenizer: 'bpe',
  model: { family: 'onnx', vocab: 4 },
  parameters: 4,
  digest,
  perplexity: {},
  calibrations: [],
  createdAt: at,
}
const run = (id: string): Run => ({
  id,
  name: id,
  kind: 'student',
  method: 'cross-entropy',
  status: 'stopped',
  step: 1,
  steps: 2,
  parameters: 1,
  teachers: [],
  foreign: [],
  corpora: [],
  seed: 1,
  priority: 0,
  place: 0,
  retries: 0,
  autoCache: 'off',
  sharedAlignments: [],
  teacherOutputs: [],
  createdAt: at,
})

/** A catalogue with rows of most lists, and the folders of those that have one. */
function furnish(): { text: string; data: CatalogueData } {
  const catalogue = new Catalogue(dataDir, 'write')
  catalogue.update((data) => {
    data.experiments.push(experiment('one'), experiment('two'), experiment('three'))
    data.teachers.push({ ...teacher, perplexity: { plays: 2.5 } })
    data.runs.push(run('first'))
    data.grids.push(grid('wide'), grid('deep'))
    data.scores.push(score('cook', 'plays'))
    data.reports.push(report('paper'))
    Object.assign(data.settings, { threads: 2, cacheGb: 7 })
  })
  const shelf = paths.libraryItem(dataDir, 'teachers', 'cook')
  mkdirSync(shelf, { recursive: true })
  writeFileSync(join(shelf, 'row.json'), JSON.stringify(teacher))
  mkdirSync(paths.run(dataDir, 'first'), { recursive: true })
  mkdirSync(paths.reports(dataDir))
  writeFileSync(join(paths.reports(dataDir), 'paper.html'), 'text')
  return { text: readFileSync(file(), 'utf8'), data: structuredClone(catalogue.data) }
}
const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id)
const dropCopies = () => rmSync(paths.goodCopies(dataDir), { recursive: true, force: true })
const refusal = /catalogue\.json: the catalogue cannot be read \(.+doctor --rebuild/s

describe('good copies', () => {
  it('are taken at opening and closing where something changed, far apart in time, three at most', () => {
    const open = (threads: number) => {
      const catalogue = new Catalogue(dataDir, 'write')
      catalogue.update(({ settings }) => (settings.threads = threads))
      catalogue.close()
    }
    const age = (minutes: number) => {
      const then = new Date(Date.now() - minutes * 60_000)
      for (const name of copies()) utimesSync(join(paths.goodCopies(dataDir), name), then, then)
    }
    open(1)
    expect(copies()).toEqual(['000001.json'])
    open(1)
    expect(copies()).toEqual(['000001.json'])
    open(2)
    expect(copies()).toEqual(['000002.json'])
    for (const threads of [3, 4, 5]) {
      age(60)
      open(threads)
    }
    expect(copies()).toEqual(['000003.json', '000004.json', '000005.json'])
    const threads = copies().map((name) => {
      const text = readFileSync(join(paths.goodCopies(dataDir), name), 'utf8')
      return (JSON.parse(text) as CatalogueData).settings.threads
    })
    expect(threads).toEqual([3, 4, 5])
  })

  it('are none of a read-only opening, and forget what is renewed', () => {
    furnish()
    dropCopies()
    read()
    expect(existsSync(paths.goodCopies(dataDir))).toBe(false)
    const catalogue = new Catalogue(dataDir, 'write')
    catalogue.update((data) => data.grids.shift())
    catalogue.renewCopies()
    expect(copies()).toHaveLength(1)
    rmSync(file())
    rebuildCatalogue(dataDir)
    expect(ids(read().grids)).toEqual(['deep'])
  })
})

describe('a catalogue that is missing or holds nothing', () => {
  it('is refused where runs, a library or copies are there, and is none in a fresh folder', () => {
    expect(read().runs).toEqual([])
    const { text } = furnish()
    dropCopies()
    for (const damage of [() => rmSync(file()), () => writeFileSync(file(), '{}')]) {
      damage()
      for (const access of ['read', 'write'] as const)
        expect(() => new Catalogue(dataDir, access)).toThrow(refusal)
    }
    writeFileSync(file(), text)
    new Catalogue(dataDir, 'write').close()
    for (const name of ['runs', 'library', 'reports', 'catalogue.json'])
      rmSync(join(dataDir, name), { recursive: true })
    expect(() => new Catalogue(dataDir, 'write')).toThrow(refusal)
  })
})

describe('a catalogue cut at every 50th byte', () => {
  const cuts = (length: number) => Array.from({ length: Math.ceil(length / 50) }, (_, i) => i * 50)

  it('is rebuilt whole where a good copy is there', () => {
    const { text, data } = furnish()
    const bytes = Buffer.from(text)
    new Catalogue(dataDir, 'write').close()
    for (const cut of cuts(bytes.length)) {
      writeFileSync(file(), bytes.subarray(0, cut))
      expect(() => new Catalogue(dataDir, 'write'), `cut at ${cut}`).toThrow(refusal)
      const { aside, dropped } = rebuildCatalogue(dataDir)
      expect(read(), `cut at ${cut}`).toEqual(data)
      expect(readFileSync(aside!)).toEqual(bytes.subarray(0, cut))
      expect(dropped.filter(({ id }) => id !== undefined)).toEqual([])
    }
  })

  it('is rebuilt with all rows before the cut where none is there, and the cut row is named', () => {
    const { text, data } = furnish()
    const bytes = Buffer.from(text)
    for (const cut of cuts(bytes.length)) {
      dropCopies()
      writeFileSync(file(), bytes.subarray(0, cut))
      const { dropped } = rebuildCatalogue(dataDir)
      const rebuilt = read()
      for (const list of ['experiments', 'grids', 'scores'] as const) {
        const before = data[list].filter((row) => {
          const line = Buffer.from(JSON.stringify(row))
          return bytes.indexOf(line) + line.length <= cut
        })
        expect(rebuilt[list], `${list} cut at ${cut}`).toEqual(before)
      }
      // These lie in folders of their own, whatever is cut.
      expect(ids(rebuilt.teachers)).toEqual(['cook'])
      expect(ids(rebuilt.reports)).toEqual(['paper'])
      const begun = data.grids.find(({ id }) => {
        const from = bytes.indexOf(`{"id":"${id}"`)
        const size = Buffer.byteLength(JSON.stringify(data.grids.find((row) => row.id === id)))
        return cut >= from + `{"id":"${id}"`.length && cut < from + size
      })
      if (begun) expect(dropped).toContainEqual(expect.objectContaining({ list: 'grids', id: begun.id }))
    }
  })
})

describe('a damaged catalogue', () => {
  it.each<[string, (text: string) => string | Uint8Array]>([
    ['empty', () => ''],
    ['null', () => 'null'],
    ['a list', () => '[]'],
    ['zeros', (text) => new Uint8Array(text.length)],
    ['an object of nothing', () => '{}'],
    ['with an unknown list', (text) => text.replace('"grids"', '"girds"')],
    [
      'with a garbage byte in the middle',
      (text) => {
        const bytes = Buffer.from(text)
        bytes[bytes.indexOf('"id":"two"') + 7] = 0xff
        return bytes
      },
    ],
    ['with a garbage byte in a bracket', (text) => text.replace('"grids": [', '"grids": \u0001')],
    ['with a wrong field', (text) => text.replace('"seconds":3', '"seconds":null')],
  ])('that is %s is refused, kept aside, and rebuilt whole by its good copy', (_what, damage) => {
    const { text, data } = furnish()
    new Catalogue(dataDir, 'write').close()
    const damaged = Buffer.from(damage(text))
    writeFileSync(file(), damaged)
    expect(() => new Catalogue(dataDir, 'write')).toThrow(refusal)
    const { aside } = rebuildCatalogue(dataDir)
    expect(readFileSync(aside!)).toEqual(damaged)
    const rebuilt = read()
    for (const list of ['experiments', 'grids'] as const) {
      expect(new Set(ids(rebuilt[list]))).toEqual(new Set(ids(data[list])))
      for (const row of data[list]) expect(rebuilt[list]).toContainEqual(row)
    }
    expect({ ...rebuilt, experiments: [], grids: [] }).toEqual({ ...data, experiments: [], grids: [] })
  })

  it('of which a row cannot be read loses that row alone, and says which and why', () => {
    const { text, data } = furnish()
    dropCopies()
    writeFileSync(file(), text.replace('"updatedAt":"2026', '"updatedAt":"2O26'))
    const { dropped, kept } = rebuildCatalogue(dataDir)
    expect(ids(read().experiments)).toEqual(['two', 'three'])
    expect(read().grids).toEqual(data.grids)
    expect(read().settings).toEqual(data.settings)
    expect(dropped).toEqual([
      { list: 'experiments', id: 'one', why: expect.stringMatching(/in the catalogue: updatedAt: /) },
    ])
    expect(kept).toContainEqual({ list: 'grids', id: 'wide' })
  })

  it('begins with a byte order mark all the same, and may be indented', () => {
    const { text, data } = furnish()
    writeFileSync(file(), `\ufeff${text}`)
    expect(read()).toEqual(data)
    dropCopies()
    const indented = JSON.stringify(JSON.parse(text), null, 2)
    writeFileSync(file(), indented.slice(0, indented.indexOf('"id": "deep"') + 3))
    rebuildCatalogue(dataDir)
    expect(read().experiments).toEqual(data.experiments)
    expect(read().grids).toEqual(data.grids.slice(0, 1))
  })

  it('is whole: what its copy has besides was removed, and does not come back', () => {
    const { data } = furnish()
    const catalogue = new Catalogue(dataDir, 'write')
    catalogue.update((changed) => changed.grids.shift())
    const { aside, rebuilt } = rebuildCatalogue(dataDir)
    expect(aside).toBeUndefined()
    expect(rebuilt).toEqual([])
    expect(read().grids).toEqual(data.grids.slice(1))
  })

  it('leaves in the bin what is there, also where its folder was not moved yet', () => {
    furnish()
    new Catalogue(dataDir, 'write').close()
    for (const [noun, id] of [
      ['experiments', 'two'],
      ['grids', 'wide'],
      ['runs', 'first'],
      ['teachers', 'cook'],
      ['reports', 'paper'],
    ] as const) {
      mkdirSync(join(paths.bin(dataDir), binName(noun, id)), { recursive: true })
      writeFileSync(join(paths.bin(dataDir), binName(noun, id), 'entry.json'), '{}')
    }
    rmSync(file())
    rebuildCatalogue(dataDir)
    const { experiments, grids, runs, teachers, reports, scores, settings } = read()
    expect([experiments, grids].map(ids)).toEqual([['one', 'three'], ['deep']])
    expect([runs, teachers, reports, scores]).toEqual([[], [], [], []])
    expect(settings).toMatchObject({ threads: 2, cacheGb: 7 })
  })

  it('has no rows without a folder or a file, and says so', () => {
    furnish()
    rmSync(paths.run(dataDir, 'first'), { recursive: true })
    rmSync(paths.libraryItem(dataDir, 'teachers', 'cook'), { recursive: true })
    rmSync(paths.reports(dataDir), { recursive: true })
    const { dropped } = rebuildCatalogue(dataDir)
    expect(dropped.map(({ list, id }) => `${list} ${id}`).sort()).toEqual([
      'reports paper',
      'runs first',
      'teachers cook',
    ])
    expect(read()).toMatchObject({ runs: [], teachers: [], reports: [] })
  })
})

it('a text has a row a line', () => {
  const { text, data } = furnish()
  expect(text).toBe(catalogueText(data))
  expect(text.split('\n').filter((line) => line.startsWith('{"id":'))).toHaveLength(8)
})
