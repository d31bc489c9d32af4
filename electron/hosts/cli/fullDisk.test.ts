import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { Checkpoint, LoggedEvent } from '#contract'
import { commandLine } from '../built'
import { openFurnished, type Furnished } from '../testing'

const root = resolve(import.meta.dirname, '../../..')

/** A file system of its own size needs a namespace of its own, which not every machine allows. */
const allowed = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp']).status === 0
if (!allowed) console.error('SKIPPED: full disks need "unshare -rm", which this machine does not allow')

const shape = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 40, batch: 4, context: 24, learningRate: 0.003, warmup: 4 }
const rest = { evaluate: { every: 10, tokens: 300 }, checkpoint: { every: 10, keep: 2 } }
const definition = (name: string, mode: 'exact' | 'off') => ({
  name,
  corpus: 'recipes',
  student: shape,
  teachers: ['cook'],
  train,
  ...rest,
  cache: { mode },
})

let furnished: Furnished
let disk: string

describe.skipIf(!allowed)('a disk that is too small', () => {
  beforeAll(async () => {
    furnished = await openFurnished({ sums: false })
    await furnished.teach({ name: 'cook', corpus: 'recipes', tokenizer: 'bpe', model: shape, train, ...rest })
    disk = join(furnished.folder, 'disk')
    mkdirSync(disk)
  }, 60_000)
  afterAll(() => furnished.close())

  /**
   * Runs a shell script with the data directory, but for runs and caches, copied to a file system of `megabytes`, `$RETORT` as the command line
   * and its runs brought back to the folder that is returned.
   */
  function onDisk(name: string, megabytes: number, script: string): { runs: string; said: string } {
    const runs = join(furnished.folder, name)
    const lines = [
      `mount -t tmpfs -o size=${megabytes}m tmpfs ${disk}`,
      `mkdir ${disk}/data`,
      `cp -r ${furnished.dataDir}/catalogue.json ${furnished.dataDir}/library ${disk}/data`,
      script,
      `cp -r ${disk}/data/runs ${runs}`,
    ]
    const retort = `${process.execPath} ${commandLine}`
    const { stderr, stdout, status } = spawnSync('unshare', ['-rm', 'sh', '-ec', lines.join('\n')], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, RETORT: retort, RETORT_DATA_DIR: join(disk, 'data') },
    })
    expect(status, `${stdout}${stderr}`).toBe(0)
    return { runs, said: `${stdout}${stderr}` }
  }

  function file(name: string, mode: 'exact' | 'off'): string {
    const path = join(furnished.folder, `${name}.yaml`)
    writeFileSync(path, stringify(definition(name, mode)))
    return path
  }

  /** A run's metrics but for the clock, the digest of its last weights, and its events. */
  function resultOf(runs: string, name: string) {
    const folder = join(
      runs,
      readdirSync(runs).find((run) => run.startsWith(name))!,
    )
    const lines = (log: string) =>
      readFileSync(join(folder, log), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    const last = readFileSync(join(folder, 'checkpoints', 'step-000040', 'checkpoint.json'), 'utf8')
    return {
      metrics: lines('metrics.jsonl').map(({ seconds: _, tokensPerSecond: __, ...record }) => record),
      weights: (JSON.parse(last) as Checkpoint).files['model.safetensors'],
      events: lines('events.jsonl') as unknown as LoggedEvent[],
    }
  }

  async function undisturbed(name: string, mode: 'exact' | 'off') {
    const { experiments } = furnished.services.rooms
    await furnished.completed(experiments.start({ definition: stringify(definition(name, mode)) }).id)
    return resultOf(join(furnished.dataDir, 'runs'), name)
  }

  it('for the cache of a teacher: the run goes on without it, bit for bit, and says so', async () => {
    const { runs } = onDisk('uncached', 4, `$RETORT run ${file('tight', 'exact')}`)
    const { events, ...result } = resultOf(runs, 'tight')
    const { events: _, ...expected } = await undisturbed('roomy', 'exact')
    expect(result).toEqual(expected)
    const told = events.flatMap(({ message }) => (message?.includes('not kept') ? [message] : []))
    expect(told).toContainEqual(
      expect.stringMatching(/^outputs of teacher "cook" for train are not kept in .*cache\/teachers\//),
    )
  })

  it('for a checkpoint: says what takes how much where, leaves nothing of it, and goes on once there is room', async () => {
    const leave = 260_000
    const { runs, said } = onDisk(
      'resumed',
      4,
      `
      head -c $(($(df --output=avail -B1 ${disk} | tail -1) - ${leave})) /dev/zero > ${disk}/filler
      $RETORT run ${file('stuck', 'off')} && exit 9
      ls -A ${disk}/data/runs/stuck-*/checkpoints
      rm ${disk}/filler
      $RETORT run --resume stuck`,
    )
    expect(said).toMatch(
      /the disk is full: \S+\/stuck-\w+\/checkpoints\/step-0000[1-4]0 takes 0\.\d MB, 0\.\d MB are free; make room/,
    )
    expect(said).not.toMatch(/\.tmp/)
    const { events: _, ...result } = resultOf(runs, 'stuck')
    const { events: __, ...expected } = await undisturbed('unstuck', 'off')
    expect(result).toEqual(expected)
  })

  it('while a run is at work: the command says so and ends, and the run goes on once there is room', async () => {
    const { runs, said } = onDisk(
      'filled',
      4,
      `
      $RETORT run ${file('flooded', 'off')} & pid=$!
      tries=0
      until grep -q '"step":3,' ${disk}/data/runs/flooded-*/metrics.jsonl 2>/dev/null || [ $tries = 600 ]; do
        sleep 0.05; tries=$((tries + 1))
      done
      cat /dev/zero > ${disk}/filler 2>/dev/null || true
      wait $pid && exit 9
      $RETORT run --resume flooded && exit 9
      rm ${disk}/filler
      $RETORT run --resume flooded`,
    )
    expect(said).toMatch(/the disk is full: /)
    expect(said).not.toMatch(/Node\.js v|^ +at |^ENOSPC/m)
    const { events: _, ...result } = resultOf(runs, 'flooded')
    const { events: __, ...expected } = await undisturbed('dry', 'off')
    expect(result).toEqual(expected)
  })
})
