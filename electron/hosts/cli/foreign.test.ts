import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { commandLine } from '../built'
import { killAt, openFurnished, type Furnished } from '../testing'

/** Runs with a teacher of the student's tokenizer and one of another, as a person starts them. */

const root = resolve(import.meta.dirname, '../../..')
let furnished: Furnished
let folder: string
let dataDir: string
/** A run, undisturbed. */
let two: string

const train = { steps: 40, batch: 4, context: 24, learningRate: 0.003, warmup: 4 }
const rest = { corpus: 'recipes', train, evaluate: { every: 10, tokens: 300 }, checkpoint: { every: 10 } }
const student = { width: 16, layers: 1, heads: 2, context: 24 }

function file(name: string, changes: Record<string, unknown> = {}): string {
  const path = join(folder, `${name}.yaml`)
  const teachers = ['cook', 'baker']
  writeFileSync(path, stringify({ ...rest, name, student, tokenizer: 'bpe', teachers, ...changes }))
  return path
}

function retort(...args: string[]) {
  const options = { cwd: root, encoding: 'utf8' as const }
  return spawnSync(process.execPath, [commandLine, ...args, '--data-dir', dataDir, '--json'], options)
}

/** The command in a process of its own. */
function start(...args: string[]) {
  return spawn(process.execPath, [commandLine, ...args, '--data-dir', dataDir], {
    cwd: root,
    stdio: 'ignore',
  })
}

function done(...args: string[]) {
  const { status, stderr, stdout } = retort(...args)
  expect(status, stderr).toBe(0)
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

interface Line {
  split?: string
  loss: number
  ce: number
  perplexity: number
  foreign: number[]
  corpora: { foreign: number[]; alpha?: number[] }[]
}

function metricsOf(id: string): Line[] {
  const lines = readFileSync(join(dataDir, 'runs', id, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => {
    const { seconds: _s, tokensPerSecond: _t, ...others } = JSON.parse(line) as Line & Record<string, unknown>
    return others as Line
  })
}

beforeAll(async () => {
  furnished = await openFurnished({ vocab: 320, sums: false })
  ;({ folder, dataDir } = furnished)
  await furnished.services.rooms.library.trainTokenizer({ name: 'small', corpora: ['recipes'], vocab: 270 })
  const model = { ...student, width: 24, context: 64 }
  for (const [name, tokenizer] of [
    ['cook', 'bpe'],
    ['baker', 'small'],
  ]) {
    await furnished.teach({ ...rest, name, tokenizer, model, seed: 3 })
  }
  await furnished.services.close()
  two = (done('run', file('two')) as { id: string }).id
})
afterAll(() => furnished.close())

describe('a run with teachers of two tokenizers', () => {
  it('learns, says how far each teacher is, and is compared and reported', () => {
    const lines = metricsOf(two)
    const steps = lines.filter((line) => !line.split)
    const evaluations = lines.filter((line) => line.split)
    expect(steps.at(-1)!.loss).toBeLessThan(steps[0]!.loss)
    expect(evaluations.at(-1)!.perplexity).toBeLessThan(evaluations[0]!.perplexity)
    expect(evaluations.at(-1)!.foreign[0]!).toBeLessThan(evaluations[0]!.foreign[0]!)
    // The weights by teacher are those of the teachers with the student's tokenizer.
    expect(evaluations.at(-1)!.corpora[0]!.alpha).toEqual([1])

    const plain = done('run', file('plain', { teachers: [] })) as { id: string }
    const html = join(folder, 'report.html')
    done('report', two, plain.id, '--format', 'html', '--out', html)
    const text = readFileSync(html, 'utf8')
    expect(text).toContain('baker')
    expect(text).toContain('Distance to teachers of other tokenizers')
  })

  it('killed with -9 and resumed, is the undisturbed one bit for bit', async () => {
    const id = await killAt(start('run', file('killed')), dataDir, 'killed', 13)
    expect(done('run', '--resume', id)).toMatchObject({ id, status: 'completed', step: 40 })
    expect(metricsOf(id)).toEqual(metricsOf(two))
    const events = readFileSync(join(dataDir, 'runs', id, 'events.jsonl'), 'utf8')
    expect(events).toMatch(/teacher baker has another tokenizer .* compared by spans/)
  })

  it('is compared by sorted probabilities, with no teacher of the student’s tokenizer', () => {
    const loss = { features: false, foreign: { compare: 'uld' } }
    const { id } = done('run', file('uld', { loss, teachers: ['baker'] })) as { id: string }
    const steps = metricsOf(id).filter((line) => !line.split)
    expect(steps.at(-1)!.foreign[0]!).toBeLessThan(steps[0]!.foreign[0]!)
    expect(steps.at(-1)!.ce).toBeLessThan(steps[0]!.ce)
  })

  it('is refused in one line where its settings have no meaning', () => {
    const yaml = file('refused', { loss: { objective: 'jsd' } })
    const { status, stderr, stdout } = retort('run', yaml)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/refused\.yaml: loss\.objective: teacher "baker" has another tokenizer/)
  })
})
