/* eslint-disable max-lines -- one Slurm is brought up for all of it */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { numberOf, type GridRow, type Submission } from '#contract'
import { found, slurmMissing, TestSlurm } from './testSlurm'
import { builtWorkers, commandLine } from '../built'
import { createServices, type Services } from '../../services'

const retort = [process.execPath, commandLine]

const missing = slurmMissing()
if (missing) console.log(`SKIPPED: no real Slurm here: ${missing}`)

describe.skipIf(missing)('a grid on a real Slurm', () => {
  let folder: string
  let slurm: TestSlurm
  /** The same library twice: one is computed here, one by the cluster. */
  let here: string
  let there: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'retort-slurm-'))
    here = join(folder, 'here')
    there = join(folder, "the cluster's")
    slurm = new TestSlurm(join(folder, 'slurm'))
    const starting = slurm.start()
    const services = await open(here)
    const { library } = services.rooms
    await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
    await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
    for (const [i, name] of ['cook', 'baker'].entries()) {
      const teacher = await services.call('teachers.train', {
        definition: stringify({
          name,
          corpus: 'recipes',
          tokenizer: 'bpe',
          model: { width: 24, layers: 1, heads: 2, context: 24 },
          train: { steps: 20, batch: 4, context: 24, warmup: 4 },
          evaluate: { tokens: 300 },
          seed: i + 1,
        }),
      })
      await services.rooms.queue.finished(teacher.id)
    }
    await services.call('settings.set', { threads: 1 })
    await services.close()
    cpSync(here, there, { recursive: true })
    process.env.SLURM_CONF = slurm.configuration
    await starting
  })
  afterAll(async () => {
    await slurm?.stop()
    delete process.env.SLURM_CONF
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  const open = (dataDir: string) => createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })

  const profile = (more: object = {}) =>
    stringify({
      name: 'loop',
      dataDir: there,
      command: retort,
      memory: '300M',
      time: '10',
      poll: 0.5,
      ...more,
    })

  const definition = (steps: number, more: object = {}, base: object = {}) =>
    stringify({
      name: `grid-${steps}`,
      base: {
        name: 'base',
        corpus: 'recipes',
        student: { width: 16, layers: 1, heads: 2, context: 24 },
        teachers: ['cook'],
        // Bit for bit: an exact cache rounds teachers' outputs otherwise than a teacher at work.
        cache: { mode: 'off' },
        train: { steps, batch: 4, context: 24, learningRate: 0.003, warmup: 4 },
        evaluate: { every: 40, tokens: 300 },
        checkpoint: { every: 40, keep: 2 },
        ...base,
      },
      axes: { 'loss.lambda': [0.2, 0.8] },
      seeds: [1, 2],
      report: false,
      ...more,
    })

  /** A cell's metrics by its digest, without the fields of the clock, the only ones that may differ. */
  function metricsOf(dataDir: string, { cells }: GridRow): Map<string, unknown[]> {
    return new Map(
      cells.map(({ digest, run }) => {
        const text = readFileSync(join(dataDir, 'runs', run!, 'metrics.jsonl'), 'utf8').trim()
        const lines = text.split('\n').map((line) => {
          const { seconds: _s, tokensPerSecond: _t, ...rest } = JSON.parse(line) as Record<string, unknown>
          return rest
        })
        return [digest, lines]
      }),
    )
  }

  async function locally(text: string): Promise<Map<string, unknown[]>> {
    const services = await open(here)
    const row = await services.rooms.grids.finished(
      (await services.call('grids.start', { definition: text })).id,
    )
    await services.close()
    expect(row.status).toBe('completed')
    return metricsOf(here, row)
  }

  async function until(what: string, condition: () => boolean): Promise<void> {
    for (let i = 0; i < 2400; i++) {
      if (condition()) return
      await sleep(50)
    }
    throw new Error(`never came: ${what}`)
  }

  const stepsOf = (run: string) => {
    const file = join(there, 'runs', run, 'metrics.jsonl')
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
  }
  const logOf = (services: Services, run: string) =>
    services.rooms.runs
      .folder(run)
      .log()
      .map(({ event }) => event)

  it('computes what this machine computes, while the app is closed and slurmd is killed', async () => {
    const text = definition(80)
    const expected = locally(text)
    let services = await open(there)
    await services.call('clusters.save', { definition: profile() })
    expect(await services.call('clusters.test', { name: 'loop' })).toMatchObject({ ok: true })
    const started = await services.call('grids.start', { definition: text, cluster: 'loop' })
    await until('a first step', () => started.cells.some(({ run }) => stepsOf(run!) > 0))
    await services.close()
    slurm.killNode()
    await sleep(1000)
    slurm.startNode()
    services = await open(there)
    const row = await services.rooms.grids.finished(started.id)
    const jobs = await services.call('clusters.jobs', { grid: started.id })
    expect(jobs.map(({ run, cluster, ended }) => [run, cluster, ended])).toEqual(
      row.cells.map(({ run }) => [run, 'loop', true]),
    )
    for (const [task, { job }] of jobs.entries()) expect(job).toMatch(new RegExp(`^\\d+_${task}$`))
    expect(row.cells.map(({ status, reason }) => [status, reason])).toEqual(
      Array(4).fill(['completed', undefined]),
    )
    expect(metricsOf(there, row)).toEqual(await expected)
    await services.close()
  })

  it('at the time limit makes a checkpoint, is queued again and goes on; what is cancelled is resubmitted', async () => {
    const text = definition(150, { seeds: [1] })
    const expected = locally(text)
    const services = await open(there)
    await services.call('clusters.save', { definition: profile() })
    const { id, cells } = await services.call('grids.start', { definition: text, cluster: 'loop' })
    const [first, second] = cells.map(({ run }) => run!)
    await until('steps', () => stepsOf(first!) > 20 && stepsOf(second!) > 20)
    const job = /\d+/.exec(slurm.tool('squeue', '-h', '-o', '%F'))![0]
    // What slurmctld sends ahead of the limit.
    slurm.tool('scancel', '--signal=USR1', '--batch', `${job}_0`)
    await services.call('runs.stop', { id: second! })
    await services.rooms.grids.finished(id)
    expect(services.rooms.runs.row(first!).status).toBe('completed')
    expect(logOf(services, first!).filter((event) => !['checkpoint', 'log'].includes(event))).toEqual([
      'started',
      'stopped',
      'resumed',
      'completed',
    ])
    expect(services.rooms.runs.row(second!)).toMatchObject({ status: 'stopped', cluster: undefined })
    expect(stepsOf(second!)).toBeLessThan(150)
    await services.call('grids.resume', { id })
    const row = await services.rooms.grids.finished(id)
    expect(row.status).toBe('completed')
    expect(metricsOf(there, row)).toEqual(await expected)
    await services.close()
  })

  it('makes the passes that its cells share in a job before them; cells come by without it, and go on with its passes', async () => {
    const shared = (name: string, seeds: number[]) =>
      definition(
        60,
        { name, axes: { 'loss.lambda': [0.2, 0.5, 0.8] }, seeds },
        { teachers: ['cook', 'baker'], cache: { mode: 'auto' } },
      )
    const passJobs = (group: string) =>
      readdirSync(join(there, 'submissions'))
        .map(
          (id) =>
            JSON.parse(readFileSync(join(there, 'submissions', id, 'submission.json'), 'utf8')) as Submission,
        )
        .filter((one) => one.group === group)
        .sort((a, b) => a.submittedAt.localeCompare(b.submittedAt))
        .map(({ passes }) => passes?.state)
    const text = shared('shared', [21])
    const expected = locally(text)
    const services = await open(there)
    await services.call('clusters.save', { definition: profile() })
    const { id, cells } = await services.call('grids.start', { definition: text, cluster: 'loop' })
    await until('steps', () => stepsOf(cells[2]!.run!) > 5)
    await services.call('runs.stop', { id: cells[2]!.run! })
    const stopped = await services.rooms.grids.finished(id)
    expect(stopped.passJob).toMatchObject({ cluster: 'loop', state: 'completed', reason: undefined })
    expect(stopped.cells.map(({ status }) => status)).toEqual(['completed', 'completed', 'stopped'])
    await services.call('grids.resume', { id })
    const row = await services.rooms.grids.finished(id)
    expect(row).toMatchObject({ status: 'completed', teacherPasses: 2 })
    expect(passJobs(id)).toEqual(['completed', undefined])
    expect(metricsOf(there, row)).toEqual(await expected)

    // The job is cancelled before it has begun.
    const again = shared('shared-2', [22])
    const same = locally(again)
    const node = hostname()
    slurm.tool('scontrol', 'update', `NodeName=${node}`, 'State=DRAIN', 'Reason=test')
    const second = await services.call('grids.start', { definition: again, cluster: 'loop' })
    const job = () => services.rooms.grids.get(second.id).passJob?.job
    await until('the job of the passes', () => job() !== undefined)
    slurm.tool('scancel', job()!)
    slurm.tool('scontrol', 'update', `NodeName=${node}`, 'State=RESUME')
    // And the node goes down while its cells are at work: they are queued again.
    await until('steps', () => second.cells.some(({ run }) => stepsOf(run!) > 10))
    slurm.tool('scontrol', 'update', `NodeName=${node}`, 'State=DOWN', 'Reason=test')
    await sleep(500)
    slurm.tool('scontrol', 'update', `NodeName=${node}`, 'State=RESUME')
    const other = await services.rooms.grids.finished(second.id)
    expect(other.cells.map(({ status, reason }) => [status, reason])).toEqual(
      Array(3).fill(['completed', undefined]),
    )
    expect(other).toMatchObject({ teacherPasses: 2, passJob: { state: 'cancelled' } })
    expect(metricsOf(there, other)).toEqual(await same)
    await services.close()
  })

  it('halves a grid: settings stop at a rung, and the best of them are submitted again', async () => {
    const rates = [0.00001, 0.0001, 0.003, 0.01]
    const text = definition(80, {
      name: 'halved',
      axes: { 'train.learningRate': rates },
      seeds: [31],
      halving: { minSteps: 40, reduction: 4 },
    })
    const services = await open(there)
    await services.call('clusters.save', { definition: profile() })
    const { id } = await services.call('grids.start', { definition: text, cluster: 'loop' })
    const row = await services.rooms.grids.finished(id)
    expect(row.status).toBe('completed')
    const done = row.cells.filter(({ status }) => status === 'completed')
    expect(done).toHaveLength(1)
    const stopped = row.cells.filter(({ halving }) => halving === 'stopped')
    expect(stopped.map(({ step }) => step)).toEqual([40, 40, 40])
    // The one that went on was the best at the rung, and goes on as if it had never stopped there.
    const rung = (run: string) =>
      numberOf(
        services.rooms.runs
          .folder(run)
          .metrics()
          .evaluations.find(({ step }) => step === 40)!.crossEntropy,
      )
    const best = Math.min(...row.cells.map(({ run }) => rung(run!)))
    expect(rung(done[0]!.run!)).toBe(best)
    await services.close()
    const whole = await locally(
      definition(80, { name: 'whole', axes: { 'train.learningRate': rates }, seeds: [31] }),
    )
    expect(metricsOf(there, row).get(done[0]!.digest)).toEqual(whole.get(done[0]!.digest))
  })

  it('says why: a partition that is not there, a command that is not there', async () => {
    const services = await open(there)
    const reasons = async (more: object, seed: number) => {
      await services.call('clusters.save', { definition: profile(more) })
      const text = definition(5, { name: `wrong-${seed}`, seeds: [seed] })
      const row = await services.call('grids.start', { definition: text, cluster: 'loop' })
      const { cells, status } = await services.rooms.grids.finished(row.id)
      expect(status).toBe('failed')
      return cells.map(({ reason }) => reason)
    }
    expect(await reasons({ partition: 'nowhere' }, 11)).toEqual(
      Array(2).fill(expect.stringMatching(/sbatch refused the job: .*partition/)),
    )
    expect(await reasons({ command: ['/no/retort'] }, 12)).toEqual(
      Array(2).fill(expect.stringMatching(/no\/retort: No such file/)),
    )
    await services.close()
  })

  it.skipIf(!found('rsync'))(
    'computes in a data directory of its own, with copies there and back',
    async () => {
      const text = definition(20, { name: 'copied', seeds: [3] })
      const expected = locally(text)
      const services = await open(there)
      const dataDir = join(folder, 'far away')
      await services.call('clusters.save', { definition: profile({ dataDir, transfer: 'rsync' }) })
      const { id } = await services.call('grids.start', { definition: text, cluster: 'loop' })
      const row = await services.rooms.grids.finished(id)
      expect(row.cells.map(({ reason }) => reason)).toEqual([undefined, undefined])
      expect(metricsOf(there, row)).toEqual(await expected)
      expect(
        spawnSync('ls', [join(dataDir, 'runs')], { encoding: 'utf8' })
          .stdout.trim()
          .split('\n'),
      ).toHaveLength(2)
      await services.close()
    },
  )
})

it('a cell computes a run from its folder, under no lock of the catalogue, and says what it cannot find', () => {
  const folder = mkdtempSync(join(tmpdir(), 'retort-cell-'))
  writeFileSync(join(folder, 'lock.json'), '{"pid":1,"host":"elsewhere"}')
  const [node, ...args] = retort
  const { status, stderr } = spawnSync(node!, [...args, 'cell', 'none', '--data-dir', folder], {
    encoding: 'utf8',
  })
  expect(status).toBe(2)
  expect(stderr).toMatch(/no run named "none"/)
  rmSync(folder, { recursive: true })
})
