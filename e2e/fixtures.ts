import { test as base, type Locator, type Page } from '@playwright/test'
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { builtWorkers, commandLine } from '../electron/hosts/built'
import { createServices } from '../electron/services'
import { Catalogue } from '../electron/store'

/** Closes the list that a field has opened: one that is still coming does not hear the first Escape. */
export async function closeMenu(page: Page): Promise<void> {
  await expect(async () => {
    await page.keyboard.press('Escape')
    await expect(page.getByRole('listbox')).toBeHidden({ timeout: 1000 })
  }).toPass()
}

/** How the text of an editor is compared: line by line, as it is seen. */
export const innerText = { useInnerText: true } as const

export const root = resolve(import.meta.dirname, '..')

/** What the journeys run: small enough to be done in seconds, long enough to be paused. */
export const small = {
  name: 'small',
  corpus: 'recipes',
  student: { width: 16, layers: 1, heads: 2, context: 24 },
  teachers: ['cook'],
  train: { steps: 400, batch: 4, context: 24, learningRate: 0.003, warmup: 4 },
  evaluate: { every: 100, tokens: 300 },
  checkpoint: { every: 50, keep: 2 },
}

/**
 * A data directory with a corpus, a tokenizer, a teacher and an experiment; with two teachers when `pair` says so: the
 * other is the same with its logits scaled.
 */
export async function furnish(dataDir: string, pair = false): Promise<void> {
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  try {
    const { library, experiments, queue } = services.rooms
    await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
    await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
    const teacher = {
      name: 'cook',
      corpus: 'recipes',
      tokenizer: 'bpe',
      model: { width: 24, layers: 2, heads: 2, context: 24 },
      train: { ...small.train, steps: 30 },
      evaluate: { every: 0, tokens: 300 },
      seed: 3,
    }
    await queue.finished(experiments.startTeacher(stringify(teacher)).id)
    if (pair) await library.deriveTeacher({ name: 'sure cook', from: 'cook', logitScale: 4 })
    const teachers = pair ? ['cook', 'sure cook'] : small.teachers
    experiments.save({ definition: stringify({ ...small, teachers }) })
  } finally {
    await services.close()
  }
}

/** The library with a grid of four settings that is done, and three runs that wait in a paused queue. */
export async function furnishGrid(dataDir: string): Promise<void> {
  await furnish(dataDir)
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { grids } = services.rooms
  const train = { ...small.train, steps: 4 }
  const grid = {
    name: 'both',
    base: { ...small, train, evaluate: { every: 0, tokens: 300 }, checkpoint: { every: 0 } },
    axes: { 'loss.tau': [1, 2], 'loss.lambda': [0.2, 0.8] },
  }
  await grids.finished(grids.start({ definition: stringify(grid) }).id)
  await services.close()
  // A command's runs do not wait for the app's queue.
  const app = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })
  await app.call('settings.set', { queuePaused: true })
  for (const name of ['first', 'second', 'third']) {
    app.rooms.experiments.start({ definition: stringify({ ...small, name }) })
  }
  await app.close()
}

export interface Host {
  url: string
  dataDir: string
  /** The home folder that it sees. */
  home: string
  stop(): Promise<void>
  /** Starts it again on the same data directory. */
  start(): Promise<void>
}

/** The web host as `retort serve` starts it, in a process of its own. */
export async function startHost(
  dataDir: string,
  home?: string,
): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [commandLine, 'serve', '--data-dir', dataDir], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(home !== undefined && { env: { ...process.env, HOME: home } }),
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout!.on('data', (data: Buffer) => {
      const found = /http:\S+/.exec(data.toString())
      if (found) resolve(found[0])
    })
    child.once('exit', (code) => reject(new Error(`the host ended with ${code}`)))
  })
  return { url, child }
}

export async function stopHost(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await new Promise((resolve) => child.once('exit', resolve))
}

/** A completed run, and 599 more of its kind in the list that have no folders: perplexities 2, 3, ... 601 from the oldest on. */
async function furnishMany(dataDir: string): Promise<void> {
  await furnish(dataDir)
  const catalogue = new Catalogue(dataDir, 'write')
  const prototype = catalogue.data.runs[0]!
  catalogue.update((data) => {
    data.runs = Array.from({ length: 600 }, (_, i) => ({
      ...prototype,
      id: i ? `run-${i}` : prototype.id,
      name: `run ${String(i).padStart(3, '0')}`,
      seed: i % 5,
      evaluation: { ...prototype.evaluation!, perplexity: 2 + i },
      createdAt: new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString(),
      startedAt: undefined,
    }))
  })
  catalogue.close()
}

const libraries = {
  empty: undefined,
  small: (dataDir: string) => furnish(dataDir),
  pair: (dataDir: string) => furnish(dataDir, true),
  grid: furnishGrid,
  many: furnishMany,
}
/** Libraries are filled once in a process; each test has a copy. */
const filled = new Map<keyof typeof libraries, string>()
process.on('exit', () => {
  for (const folder of filled.values()) rmSync(folder, { recursive: true, force: true })
})

async function fill(dataDir: string, library: keyof typeof libraries): Promise<void> {
  const furnishing = libraries[library]
  if (!furnishing) return
  let source = filled.get(library)
  if (!source) {
    source = mkdtempSync(join(tmpdir(), 'retort-'))
    filled.set(library, source)
    await furnishing(source)
  }
  cpSync(source, dataDir, { recursive: true })
}

interface Fixtures {
  /** What is in the data directory before the host opens it. */
  library: keyof typeof libraries
  /** What the console may complain of, beyond the report's sandbox. */
  tolerated: RegExp | undefined
  host: Host
  app: Page
}

/** `app` is the page, opened on a host of its own; an error in its console fails the test. */
export const test = base.extend<Fixtures>({
  library: ['small', { option: true }],
  host: async ({ library }, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'retort-'))
    const dataDir = join(folder, 'data')
    await fill(dataDir, library)
    const home = join(folder, 'home')
    mkdirSync(home)
    let { url, child } = await startHost(dataDir, home)
    const host = {
      url,
      dataDir,
      home,
      stop: () => stopHost(child),
      start: async () => {
        ;({ url, child } = await startHost(dataDir, home))
        host.url = url
      },
    }
    await use(host)
    await stopHost(child)
    rmSync(folder, { recursive: true, force: true })
  },
  tolerated: [undefined, { option: true }],
  app: async ({ page, host, tolerated }, use) => {
    const errors: string[] = []
    page.on('console', (message) => {
      // Playwright looks into the report's frame, whose sandbox refuses its script: the sandbox at work.
      const sandbox = message.text().startsWith("Blocked script execution in 'about:srcdoc'")
      const known = sandbox || tolerated?.test(message.text())
      if (message.type() === 'error' && !known) errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(host.url)
    await use(page)
    base.expect(errors, 'errors in the console').toEqual([])
  },
})
export const { expect } = test

/** On a run's page: writes its model into a folder, in a format by its name on the page. */
export async function exportModel(page: Page, format: string, folder: string): Promise<Locator> {
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('menuitem', { name: 'Export the model' }).click()
  const dialog = page.getByRole('dialog', { name: 'Export the model' })
  await dialog.getByRole('combobox', { name: 'Format' }).click()
  await page.getByRole('option', { name: format }).click()
  await dialog.getByRole('textbox', { name: 'Folder' }).fill(folder)
  await dialog.getByRole('button', { name: 'Export', exact: true }).click()
  return dialog
}

export const rail = (page: Page, name: string) =>
  page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name })
