import { chromium, type Page } from '@playwright/test'
import { spawn } from 'node:child_process'
import { mkdtempSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { nodeWorkerLauncher } from '../electron/hosts/nodeWorker'
import { createServices } from '../electron/services'
import { browserArguments, findBrowser } from './browser'
import { furnish, root, small, startHost, stopHost } from './fixtures'

/**
 * `npm run soak`: what is open for days must not grow. A run of many steps, many runs through one queue, many reloads of
 * the page; of each the resident memory of the worker, the host, and the page's heap after the first fifth and at the
 * end. Not among the tests: it takes most of an hour. Exit status 1 if something grew by more than a twentieth.
 */
const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '300' },
    reloads: { type: 'string', default: '2000' },
  },
})
const [STEPS, RUNS, RELOADS] = [values.steps, values.runs, values.reloads].map(Number) as [
  number,
  number,
  number,
]
const MOST = 1.05
const SETTLED = 0.2

const folder = mkdtempSync(join(tmpdir(), 'retort-soak-'))
let grown = false

/** Resident memory of a process, MB; undefined where it is gone. */
function resident(pid: number): number | undefined {
  const file = `/proc/${pid}/status`
  const found = existsSync(file) && /VmRSS:\s*(\d+) kB/.exec(readFileSync(file, 'utf8'))
  return found ? Number(found[1]) / 1024 : undefined
}

/** Holds the median of the last readings against that of the first ones after it had settled. */
function judge(what: string, readings: readonly number[]): void {
  const settled = readings.slice(Math.floor(readings.length * SETTLED))
  const part = Math.max(1, Math.floor(settled.length / 8))
  const [early, late] = [median(settled.slice(0, part)), median(settled.slice(-part))]
  const bad = late > early * MOST
  grown ||= bad
  console.log(
    `${what}: ${early.toFixed(0)} MB, at the end ${late.toFixed(0)} MB (${((late / early - 1) * 100).toFixed(1)} %)${bad ? ' GROWN' : ''}`,
  )
}

const median = (of: readonly number[]) => [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)]!

async function manySteps(dataDir: string): Promise<void> {
  const train = { ...small.train, steps: STEPS }
  const file = join(folder, 'long.yaml')
  const checkpoint = { every: 500, keep: 2 }
  writeFileSync(
    file,
    stringify({ ...small, name: 'long', train, checkpoint, evaluate: { every: 500, tokens: 300 } }),
  )
  const entry = join(root, 'electron/hosts/cli/index.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', entry, 'run', file, '--data-dir', dataDir], {
    cwd: root,
    stdio: 'ignore',
  })
  const [workers, hosts]: [number[], number[]] = [[], []]
  while (child.exitCode === null) {
    await sleep(500)
    const run = readdirSync(join(dataDir, 'runs')).find((id) => id.startsWith('long'))
    const pid = run && join(dataDir, 'runs', run, 'worker.pid')
    const [worker, host] = [
      pid && existsSync(pid) ? resident(parseInt(readFileSync(pid, 'utf8'))) : undefined,
      resident(child.pid!),
    ]
    if (worker) workers.push(worker)
    if (worker && host) hosts.push(host)
  }
  if (child.exitCode !== 0) throw new Error(`the run ended with ${child.exitCode}`)
  judge(`worker over ${STEPS} steps`, workers)
  judge(`its host over ${STEPS} steps`, hosts)
}

async function manyRuns(dataDir: string): Promise<void> {
  const services = await createServices({ dataDir, spawnWorker: nodeWorkerLauncher(), host: 'cli' })
  const { experiments, queue } = services.rooms
  const train = { ...small.train, steps: 3 }
  const readings: number[] = []
  for (let i = 0; i < RUNS; i++) {
    const definition = stringify({ ...small, name: `r${i}`, train, evaluate: { every: 0, tokens: 300 } })
    const run = await queue.finished(experiments.start({ definition }).id)
    if (run.status !== 'completed') throw new Error(`run ${i} ${run.status}: ${run.reason}`)
    globalThis.gc?.()
    readings.push(process.memoryUsage().rss / 2 ** 20)
  }
  await services.close()
  judge(`host over ${RUNS} runs`, readings)
}

async function manyReloads(dataDir: string): Promise<void> {
  const { url, child } = await startHost(dataDir)
  const browser = await chromium.launch({ executablePath: findBrowser(), args: [...browserArguments] })
  try {
    const page = await browser.newPage()
    await page.goto(url)
    const [hosts, heaps]: [number[], number[]] = [[], []]
    for (let i = 0; i < RELOADS; i++) {
      await page.reload()
      await page.getByRole('navigation').first().waitFor()
      await page.getByRole('main').waitFor()
      hosts.push(resident(child.pid!)!)
      if (i % 20 === 0) heaps.push(await heap(page))
    }
    judge(`host over ${RELOADS} reloads`, hosts)
    judge(`page over ${RELOADS} reloads`, heaps)
  } finally {
    await browser.close()
    await stopHost(child)
  }
}

async function heap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  await session.detach()
  return usedSize / 2 ** 20
}

const dataDir = join(folder, 'data')
await furnish(dataDir)
if (STEPS) await manySteps(dataDir)
if (RELOADS) await manyReloads(dataDir)
if (RUNS) await manyRuns(dataDir)
rmSync(folder, { recursive: true, force: true })
process.exitCode = grown ? 1 : 0
