import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createRandom } from '../../files'
import { createServices } from '../../services'
import { builtWorkers, commandLine } from '../built'

const root = resolve(import.meta.dirname, '../../..')
/** Cells and kills; `RETORT_GRID_KILLS=12x20` asks for more than there is time for at every change. */
const [cells, kills] = (process.env.RETORT_GRID_KILLS ?? '4x5').split('x').map(Number) as [number, number]
const STEPS = 60
const TIMEOUT = 60_000 + (cells + kills) * 30_000

let folder: string
let yaml: string

const experiment = {
  name: 'base',
  corpus: 'recipes',
  student: { width: 16, layers: 1, heads: 2, context: 24 },
  teachers: ['cook'],
  train: { steps: STEPS, batch: 8, context: 24, learningRate: 0.003, warmup: 4 },
  evaluate: { every: 15, tokens: 300 },
  checkpoint: { every: 5, keep: 2 },
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  const dataDir = join(folder, 'undisturbed')
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library, experiments, queue } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
  const { student, teachers: _, ...rest } = experiment
  const train = { ...rest.train, steps: 10 }
  const run = experiments.startTeacher(
    stringify({ ...rest, train, name: 'cook', tokenizer: 'bpe', model: student }),
  )
  await queue.finished(run.id)
  await services.close()
  for (const copy of ['disturbed', 'halved']) cpSync(dataDir, join(folder, copy), { recursive: true })
  yaml = join(folder, 'grid.yaml')
  const tau = Array.from({ length: cells / 2 }, (_, i) => 1 + i / 2)
  writeFileSync(yaml, stringify({ name: 'g', base: experiment, axes: { 'loss.tau': tau }, seeds: [1, 2] }))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** `retort grid`, two cells side by side, as the leader of its process group. */
function start(dataDir: string, file = yaml): ChildProcess {
  const args = [commandLine, 'grid', file, '--jobs', '2', '--data-dir', dataDir, '--json']
  return spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
}

interface GridOutput {
  status: string
  cells: { axes: Record<string, unknown>; seed: number; run: string; status: string; halving?: string }[]
}

async function finish(dataDir: string, file = yaml): Promise<GridOutput> {
  const child = start(dataDir, file)
  let output = ''
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number]
  expect(status).toBe(0)
  return JSON.parse(output.trim().split('\n').at(-1)!) as GridOutput
}

function lines(dataDir: string, run: string, file: string): Record<string, unknown>[] {
  const path = join(dataDir, 'runs', run, file)
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  return whole.filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** The grid's runs: not the teacher's. */
function runsOf(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'runs')).filter((run) => !run.startsWith('cook'))
}

function stepsDone(dataDir: string): number {
  const records = runsOf(dataDir).flatMap((run) => lines(dataDir, run, 'metrics.jsonl'))
  return records.filter((record) => 'tokensPerSecond' in record).length
}

/** What a cell has found, the clock apart. */
function results(dataDir: string, { cells }: GridOutput) {
  return cells.map(({ axes, seed, run, status }) => ({
    axes,
    seed,
    status,
    metrics: lines(dataDir, run, 'metrics.jsonl').map(
      ({ seconds: _s, tokensPerSecond: _t, ...rest }) => rest,
    ),
  }))
}

describe('a grid that is killed with -9 again and again', () => {
  it(
    'ends with the results of an undisturbed one, and runs no finished cell twice',
    async () => {
      const calm = join(folder, 'undisturbed')
      const undisturbed = await finish(calm)
      const dataDir = join(folder, 'disturbed')
      const random = createRandom(1, `grid-kills/${cells}x${kills}`)
      const work = cells * STEPS * 0.9
      const moments = Array.from({ length: kills }, () => random.next() * work).sort((a, b) => a - b)
      let hits = 0
      for (const moment of moments) {
        const child = start(dataDir)
        while (child.exitCode === null && stepsDone(dataDir) < moment) await sleep(20)
        // Where work is at by now was passed before: some moment between its start and a while after it.
        await sleep(random.next() * 1500)
        if (child.exitCode !== null) continue
        hits++
        // The command alone, whose workers find out by themselves, or all at once.
        if (random.next() < 0.5) child.kill('SIGKILL')
        else process.kill(-child.pid!, 'SIGKILL')
        await once(child, 'close')
      }
      const resumed = await finish(dataDir)
      expect(hits).toBe(kills)
      expect(resumed.status).toBe('completed')
      expect(results(dataDir, resumed)).toEqual(results(calm, undisturbed))
      expect(runsOf(dataDir)).toHaveLength(cells)
      for (const run of runsOf(dataDir)) {
        const events = lines(dataDir, run, 'events.jsonl').map(({ event }) => event)
        expect(events.filter((event) => event === 'completed')).toHaveLength(1)
        expect(events.at(-1)).toBe('completed')
      }
      const starts = runsOf(dataDir).flatMap((run) =>
        lines(dataDir, run, 'events.jsonl').filter(({ event }) => event === 'started' || event === 'resumed'),
      )
      process.stderr.write(`${cells} cells, ${hits} kills: ${starts.length} starts of cells\n`)
    },
    TIMEOUT,
  )

  it('with successive halving stops and promotes the same settings, and computes no step twice', async () => {
    const dataDir = join(folder, 'halved')
    const file = join(folder, 'halved.yaml')
    const axes = { 'train.learningRate': [1e-7, 0.003, 1e-6] }
    const halving = { minSteps: 20, reduction: 3 }
    const base = { ...experiment, evaluate: { every: 20, tokens: 300 } }
    writeFileSync(file, stringify({ name: 'h', base, axes, seeds: [1], halving }))
    // On the way to the first rung, and when only the promoted one is left.
    for (const moment of [10, 70]) {
      const child = start(dataDir, file)
      while (child.exitCode === null && stepsDone(dataDir) < moment) await sleep(10)
      expect(child.exitCode).toBeNull()
      process.kill(-child.pid!, 'SIGKILL')
      await once(child, 'close')
    }
    const { status, cells } = await finish(dataDir, file)
    expect(status).toBe('completed')
    for (const { axes, run, status, halving } of cells) {
      const best = axes['train.learningRate'] === 0.003
      expect([status, halving]).toEqual(best ? ['completed', undefined] : ['stopped', 'stopped'])
      const records = lines(dataDir, run, 'metrics.jsonl').filter((record) => 'tokensPerSecond' in record)
      const expected = Array.from({ length: best ? STEPS : 20 }, (_, i) => i + 1)
      expect(records.map(({ step }) => step)).toEqual(expected)
    }
  }, 240_000)
})
