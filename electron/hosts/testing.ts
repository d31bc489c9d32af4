import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import type { Run } from '#contract'
import type { RunFolder } from '../store'
import { createServices, type Services } from '../services'
import { builtWorkers } from './built'

/** What tests of hosts share: a data directory with something to learn from. */
export interface Furnished {
  /** Holds the data directory, and whatever a test writes beside it. */
  folder: string
  dataDir: string
  services: Services
  /** Waits for a run's end, which has to be its completion. */
  completed(id: string): Promise<Run>
  /** What a run computed: everything of its records but the clock, and the digest of its last weights. */
  computed(id: string): ReturnType<typeof computedIn>
  /** Kills a run's worker with -9 once it has logged `step` steps, and waits for the run's end. */
  kill(id: string, step: number): Promise<void>
  /** Trains a teacher of this definition into the library. */
  teach(definition: object): Promise<Run>
  /** Closes the services and removes the folder. */
  close(): Promise<void>
}

/**
 * Opens a scratch data directory with the corpora `recipes` and, unless `sums` is false, `sums`, each of so many bytes,
 * and the tokenizer `bpe` of both.
 */
export async function openFurnished({ bytes = 60_000, vocab = 300, sums = true } = {}): Promise<Furnished> {
  const folder = mkdtempSync(join(tmpdir(), 'retort-'))
  const dataDir = join(folder, 'data')
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library, experiments, queue, runs } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes, seed: 1 })
  if (sums) await library.generateCorpus({ name: 'sums', domain: 'arithmetic', bytes, seed: 2 })
  await library.trainTokenizer({ name: 'bpe', corpora: sums ? ['recipes', 'sums'] : ['recipes'], vocab })
  const completed = async (id: string) => {
    const run = await queue.finished(id)
    expect(run, run.reason).toMatchObject({ status: 'completed' })
    return run
  }
  return {
    folder,
    dataDir,
    services,
    completed,
    computed: (id) => computedIn(runs.folder(id)),
    kill: async (id, step) => {
      await killWorker(runs.folder(id), step)
      expect(await queue.finished(id)).toMatchObject({ status: 'failed' })
    },
    teach: (definition) => completed(experiments.startTeacher(stringify(definition)).id),
    close: async () => {
      await services.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function computedIn(folder: RunFolder) {
  const { steps, evaluations } = folder.metrics()
  return {
    steps: steps.map(({ seconds: _, tokensPerSecond: __, ...record }) => record),
    evaluations: evaluations.map(({ seconds: _, ...record }) => record),
    weights: folder.checkpoints().at(-1)!.files['model.safetensors'],
  }
}

async function killWorker(folder: RunFolder, step: number): Promise<void> {
  for (let tries = 0; (folder.metrics().steps.at(-1)?.step ?? 0) < step; tries++) {
    expect(tries).toBeLessThan(6000)
    await sleep(10)
  }
  process.kill(parseInt(readFileSync(join(folder.path, 'worker.pid'), 'utf8')), 'SIGKILL')
}

/**
 * Kills a command with -9 once its run, whose id begins with `name`, has logged `step` steps.
 *
 * @returns the run's id
 */
export async function killAt(
  child: ChildProcess,
  dataDir: string,
  name: string,
  step: number,
): Promise<string> {
  const runs = join(dataDir, 'runs')
  for (let i = 0; i < 6000; i++) {
    const id = readdirSync(runs).find((run) => run.startsWith(name))
    const log = id && join(runs, id, 'metrics.jsonl')
    if (id && log && existsSync(log) && readFileSync(log, 'utf8').split('\n').length > step) {
      child.kill('SIGKILL')
      return id
    }
    await sleep(10)
  }
  throw new Error('the run never got that far')
}
