import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { LIBRARY_ROW, type Teacher, type WeightsReference } from '#contract'
import { performJob } from '../services/jobs'
import { Catalogue, healthOf, paths, rebuildCatalogue, sweepLeftOvers, type LibraryNoun } from '../store'
import { builtWorkers, commandLine } from './built'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
/** The data directory as it is whole, and the copy of it that a test damages. */
let dataDir: string
let run: string

beforeAll(async () => {
  furnished = await openFurnished({ bytes: 20_000, sums: false })
  const size = { width: 16, layers: 1, heads: 2, context: 24 }
  const train = { steps: 4, batch: 2, context: 24, learningRate: 0.003, warmup: 1 }
  const common = { corpus: 'recipes', tokenizer: 'bpe', train, evaluate: { every: 2, tokens: 100 } }
  await furnished.teach({ name: 'cook', ...common, model: size })
  const { experiments, models, library, reports } = furnished.services.rooms
  const definition = { name: 'first', ...common, student: size, teachers: ['cook'], checkpoint: { every: 2 } }
  run = (await furnished.completed(experiments.start({ definition: stringify(definition) }).id)).id
  const out = join(furnished.folder, 'exported')
  await models.export('cook', { format: 'onnx', out, hiddenStates: true })
  await library.importTeacher({ path: join(out, 'model.onnx'), name: 'cook-onnx', tokenizerPath: 'bpe' })
  const path = join(furnished.folder, 'there')
  await models.export('cook', { format: 'hf', out: path })
  await library.importTeacher({ path, name: 'referred', tokenizerPath: 'bpe', reference: true })
  await reports.create({ runs: [run], format: 'md', name: 'told' })
  await furnished.services.close()
}, 300_000)
afterAll(() => rmSync(furnished.folder, { recursive: true, force: true }))
beforeEach(() => {
  dataDir = join(furnished.folder, 'copy')
  cpSync(furnished.dataDir, dataDir, { recursive: true })
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const last = () => join(paths.run(dataDir, run), 'checkpoints', 'step-000004')
/** The folder of what was imported first under a name. */
function item(noun: LibraryNoun, name: string): string {
  const folders = readdirSync(paths.library(dataDir, noun)).filter((id) => id.startsWith(name))
  return paths.libraryItem(dataDir, noun, folders.sort((a, b) => a.length - b.length)[0]!)
}
const teacher = (name: string) => item('teachers', name)
const leftByImport = () => join(paths.library(dataDir, 'teachers'), 'half.tmp')

function flip(file: string): string {
  const bytes = readFileSync(file)
  bytes[bytes.length - 5]! ^= 1
  writeFileSync(file, bytes)
  return file
}
function cut(file: string, left = 20): string {
  truncateSync(file, left)
  return file
}
function damageLine(file: string): string {
  const [first, ...others] = readFileSync(file, 'utf8').split('\n')
  writeFileSync(file, [first, '{"step":', ...others].join('\n'))
  return `${file}: line 2`
}
function remove(path: string): string {
  rmSync(path, { recursive: true })
  return path.slice(dataDir.length + 1)
}

const WEIGHTS = 'model.safetensors'
/** Has the row of the teacher by reference say something else of its weights. */
function refer(change: (reference: WeightsReference) => WeightsReference): void {
  const file = join(teacher('referred'), LIBRARY_ROW)
  const row = JSON.parse(readFileSync(file, 'utf8')) as Teacher
  writeFileSync(file, JSON.stringify({ ...row, reference: change(row.reference!) }))
}

/** Damages the copy; what the one line that tells of it has to name. */
type Damage = () => string
const looked: Record<string, Damage> = {
  'a cut configuration': () => cut(join(paths.run(dataDir, run), 'config.json')),
  'a cut environment': () => cut(join(paths.run(dataDir, run), 'environment.json')),
  'a cut evaluation': () => cut(join(paths.run(dataDir, run), 'evaluation.json')),
  'damaged metrics': () => damageLine(join(paths.run(dataDir, run), 'metrics.jsonl')),
  'damaged events': () => damageLine(join(paths.run(dataDir, run), 'events.jsonl')),
  'damaged held-out documents': () => damageLine(join(paths.run(dataDir, run), 'heldout.jsonl')),
  'torn metrics': () => {
    appendFileSync(join(paths.run(dataDir, run), 'metrics.jsonl'), '{"step":')
    return `runs/${run}: the last line of metrics.jsonl is torn`
  },
  'a cut description of a checkpoint': () => cut(join(last(), 'checkpoint.json')),
  'cut weights': () => cut(join(last(), 'model.safetensors'), 3000),
  'weights cut within their header': () => cut(join(last(), 'model.safetensors'), 5),
  'weights of no bytes': () => cut(join(last(), 'optimizer.safetensors'), 0),
  'weights with something behind them': () => {
    appendFileSync(join(teacher('cook'), 'model.safetensors'), 'more')
    return join(teacher('cook'), 'model.safetensors')
  },
  'missing weights': () => join(dataDir, remove(join(last(), 'model.safetensors'))),
  'a missing corpus file': () => {
    remove(join(item('corpora', 'recipes'), 'documents.jsonl'))
    return `${item('corpora', 'recipes')}: documents.jsonl is missing`
  },
  'weights by reference that are elsewhere now': () => {
    refer(({ folder, files }) => ({ folder: `${folder}-moved`, files }))
    return 'there-moved/model.safetensors: it is not there any more; teacher "referred" refers to it'
  },
  'a row that is none': () => {
    writeFileSync(join(teacher('cook'), LIBRARY_ROW), '{"digest":1}')
    return join(teacher('cook'), LIBRARY_ROW)
  },
  'a run without its folder': () => remove(paths.run(dataDir, run)),
  'a teacher without its folder': () => remove(teacher('cook-onnx')),
  'a report without its file': () =>
    remove(join(paths.reports(dataDir), readdirSync(paths.reports(dataDir))[0]!)),
  'a copied teacher': () => {
    cpSync(teacher('cook'), join(paths.library(dataDir, 'teachers'), 'stranger'), { recursive: true })
    return 'library/teachers/stranger'
  },
  'a copied run': () => {
    cpSync(paths.run(dataDir, run), paths.run(dataDir, 'stranger'), { recursive: true })
    return 'runs/stranger'
  },
  'what an import left': () => {
    mkdirSync(leftByImport())
    return 'library/teachers/half.tmp: left over'
  },
  'what a checkpoint left': () => {
    mkdirSync(join(last(), '..', '.step-000006.tmp'))
    return `runs/${run}/checkpoints/.step-000006.tmp: left over`
  },
  'a lock of a process that is gone': () => {
    const gone = spawnSync(process.execPath, ['--version']).pid
    const holder = { pid: gone, host: '', since: '2026-01-01T00:00:00.000Z', nonce: 'abc' }
    writeFileSync(paths.lock(dataDir), JSON.stringify({ ...holder, host: hostname() }))
    return `lock.json: left behind by process ${gone}`
  },
  'an unreadable catalogue': () => cut(paths.catalogue(dataDir), 300),
  'a missing catalogue': () => join(dataDir, remove(paths.catalogue(dataDir))),
}

const deep: Record<string, Damage> = {
  'weights of a checkpoint': () => flip(join(last(), 'model.safetensors')),
  'moments of a checkpoint': () => flip(join(last(), 'optimizer.safetensors')),
  "a teacher's weights": () => flip(join(teacher('cook'), 'model.safetensors')),
  'weights by reference': () => {
    const digest = '0'.repeat(64)
    refer(({ folder, files: { [WEIGHTS]: file } }) => ({
      folder,
      files: { [WEIGHTS]: { ...file!, digest } },
    }))
    return 'there/model.safetensors: its content is another'
  },
  'an ONNX model': () => flip(join(teacher('cook-onnx'), 'model.onnx')),
  'a corpus': () => {
    return flip(join(item('corpora', 'recipes'), 'documents.jsonl'))
  },
  'a tokenizer': () => flip(join(item('tokenizers', 'bpe'), 'tokenizer.json')),
}

describe('the health of a data directory', () => {
  it('has no problem where all is whole, nor where nothing is', async () => {
    expect(await healthOf(dataDir, true)).toEqual([])
    expect(await healthOf(join(dataDir, 'none'))).toEqual([])
  })

  it.each(Object.entries(looked))('names %s', async (_, damage) => {
    const named = damage()
    const before = listing()
    const problems = await healthOf(dataDir)
    expect(problems.length).toBeGreaterThan(0)
    for (const problem of problems) expect(problem).toContain(named)
    expect(listing()).toEqual(before)
  })

  it.each(Object.entries(deep))('finds one changed bit by digests: %s', async (_, damage) => {
    const named = damage()
    expect(await healthOf(dataDir)).toEqual([])
    const problems = await healthOf(dataDir, true)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(named)
  })

  it('does not take the files of those at work for left-overs', async () => {
    mkdirSync(leftByImport())
    const holder = { pid: process.pid, host: hostname(), since: '2026-01-01T00:00:00.000Z', nonce: 'abc' }
    writeFileSync(paths.lock(dataDir), JSON.stringify(holder))
    expect(await healthOf(dataDir)).toEqual([])
    rmSync(paths.lock(dataDir))
    writeFileSync(join(paths.run(dataDir, run), 'worker.pid'), `${process.pid}\n\n`)
    mkdirSync(join(last(), '..', '.step-000006.tmp'))
    expect(sweepLeftOvers(dataDir)).toEqual([join('library', 'teachers', 'half.tmp')])
    expect(existsSync(join(last(), '..', '.step-000006.tmp'))).toBe(true)
  })

  it('is whole again after a rebuild, whatever was lost of rows', async () => {
    rmSync(teacher('cook-onnx'), { recursive: true })
    cut(paths.catalogue(dataDir), 300)
    rebuildCatalogue(dataDir)
    expect(await healthOf(dataDir, true)).toEqual([])
  })

  it('makes rows of what jobs brought for a process that was killed before it heard of their end', async () => {
    const context = { dataDir, threads: () => 1, spawnWorker: builtWorkers() }
    const from = new Catalogue(dataDir, 'read').data.teachers.find(({ name }) => name === 'cook')!
    await performJob(context, { kind: 'derive-teacher', id: 'sure', name: 'sure', from, logitScale: 2 })
    await performJob(context, {
      kind: 'generate-corpus',
      id: 'more',
      name: 'more',
      domain: 'kitchen',
      bytes: 5000,
      seed: 3,
    })
    const path = join(furnished.folder, 'exported')
    const imported = { id: 'again', name: 'again', tokenizerId: 'again-bpe', path: join(path, 'model.onnx') }
    const tokenizerPath = join(path, 'tokenizer.json')
    await performJob(context, { kind: 'import-teacher', ...imported, tokenizerPath, format: 'auto' })
    rebuildCatalogue(dataDir)
    const { corpora, tokenizers, teachers } = new Catalogue(dataDir, 'read').data
    const ids = [...corpora, ...tokenizers, ...teachers].map(({ id }) => id)
    expect(ids).toEqual(expect.arrayContaining(['sure', 'more', 'again', 'again-bpe']))
    expect(await healthOf(dataDir, true)).toEqual([])
  })

  it('never has two rows of one id: a copied folder gets none', async () => {
    cpSync(paths.run(dataDir, run), paths.run(dataDir, 'stranger'), { recursive: true })
    cpSync(teacher('cook'), join(paths.library(dataDir, 'teachers'), 'stranger'), { recursive: true })
    const { dropped } = rebuildCatalogue(dataDir)
    expect(dropped.map(({ id, why }) => [id, why])).toEqual([
      ['stranger', expect.stringContaining(`it is of "${teacher('cook').split('/').at(-1)}"`)],
      ['stranger', expect.stringContaining(`it is of "${run}"`)],
    ])
    const { runs, teachers } = new Catalogue(dataDir, 'read').data
    expect(runs.map(({ id }) => id)).not.toContain('stranger')
    for (const rows of [runs, teachers]) expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
  })
})

describe('retort doctor', () => {
  const cli = (...args: string[]) =>
    spawnSync(process.execPath, [commandLine, 'doctor', ...args, '--data-dir', dataDir], {
      encoding: 'utf8',
      cwd: resolve(import.meta.dirname, '../..'),
    })

  it('ends with 2 where something is wrong, and mends with --rebuild alone', () => {
    mkdirSync(leftByImport())
    const found = cli()
    expect(found.status).toBe(2)
    expect(found.stdout).toContain('! library/teachers/half.tmp')
    expect(existsSync(leftByImport())).toBe(true)
    const mended = cli('--rebuild')
    expect(mended.status, mended.stdout).toBe(0)
    expect(mended.stdout).toContain('removed: library/teachers/half.tmp')
    expect(mended.stdout).toContain('no problems found')
    expect(existsSync(leftByImport())).toBe(false)
    flip(join(teacher('cook'), 'model.safetensors'))
    expect(cli().status).toBe(0)
    expect(cli('--deep').status).toBe(2)
  }, 120_000)
})

function listing(): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).sort()
}
