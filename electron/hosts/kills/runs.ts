import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  checkpoints,
  command,
  copyOfFurnished,
  folder,
  model,
  one,
  random,
  records,
  start,
  write,
} from './tools'

/**
 * Runs that are killed again and again, at random moments and in the middle of checkpoints, and whose folders are
 * damaged in between as a power cut would, must end with what an undisturbed run computes, bit for bit.
 */
const STEPS = 200
const base = {
  corpus: 'recipes',
  tokenizer: 'bpe',
  student: model,
  teachers: ['cook', 'clerk'],
  train: { steps: STEPS, batch: 8, context: 24, learningRate: 0.003, warmup: 4 },
  evaluate: { every: 20, tokens: 400 },
  checkpoint: { every: 7, keep: 3 },
  cache: { mode: 'exact' },
}
/** What runs are like, in turn. */
const kinds: Record<string, object> = {
  cached: {},
  states: { cache: { mode: 'states', precision: 'f16' } },
  calibrated: { weighting: { strategy: 'calibrated-entropy' } },
  'live-in-parts': { cache: { mode: 'off' }, train: { ...base.train, accumulate: 2 } },
  'half-precision': { train: { ...base.train, precision: 'f16' } },
}

export const runFolder = (dataDir: string, name: string): string | undefined => {
  const id = readdirSync(join(dataDir, 'runs')).find((run) => run.replace(/-[^-]*$/, '') === name)
  return id && join(dataDir, 'runs', id)
}

/** The last step of its log; damaged lines are no matter here. */
export function stepsDone(run: string | undefined): number {
  const log = run && join(run, 'metrics.jsonl')
  if (!log || !existsSync(log)) return 0
  const steps = readFileSync(log, 'utf8').matchAll(/^\{"step":(\d+),.*\}$/gm)
  return Math.max(0, ...[...steps].map(([, step]) => Number(step)))
}

/** All that a run found out, the clock apart, and the digests of all that it learned. */
export function result(run: string) {
  const calm = ({ seconds: _, tokensPerSecond: __, ...rest }: Record<string, unknown>) => rest
  const last = JSON.parse(readFileSync(join(checkpoints(run).at(-1)!, 'checkpoint.json'), 'utf8')) as object
  return JSON.stringify({
    metrics: records(run, 'metrics.jsonl').map(calm),
    heldOut: records(run, 'heldout.jsonl'),
    evaluation: readFileSync(join(run, 'evaluation.json'), 'utf8'),
    last: calm(last as Record<string, unknown>),
  })
}

/** Kills it some time after step `from`, or in the middle of a checkpoint. Undefined: it came to its end before. */
async function kill(child: ChildProcess, name: string, from: number): Promise<string | undefined> {
  const run = () => runFolder(join(folder, 'stormy'), name)
  const writing = random.next() < 0.3
  const moment = from + 1 + random.integer(STEPS / 6)
  const delay = random.next() * 200
  while (child.exitCode === null && stepsDone(run()) < moment) await sleep(5)
  if (writing) {
    const open = () => readdirSync(join(run()!, 'checkpoints')).some((entry) => entry.startsWith('.step-'))
    while (child.exitCode === null && !open()) await sleep(1)
  } else await sleep(delay)
  if (child.exitCode !== null) return undefined
  const step = stepsDone(run())
  const who = one(['host', 'worker', 'both'] as const)
  // A worker whose host is gone finds out by itself.
  if (who !== 'worker') child.kill('SIGKILL')
  if (who !== 'host') killWorker(run()!)
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  return `${who} at step ${step}${writing ? ', writing a checkpoint' : ''}`
}

export function killWorker(run: string): void {
  try {
    process.kill(parseInt(readFileSync(join(run, 'worker.pid'), 'utf8')), 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

/** What a power cut may leave; undefined where the run would have nothing to go on from. */
function damage(run: string): string | undefined {
  const kept = checkpoints(run)
  if (kept.length < 2) return undefined
  const newest = kept.at(-1)!
  const oldest = Number(/\d+$/.exec(kept[0]!)![0])
  const which = one(['log', 'line', 'state', 'bit', 'description'] as const)
  const log = join(run, 'metrics.jsonl')
  const file = join(newest, one(['model.safetensors', 'optimizer.safetensors']))
  switch (which) {
    case 'log':
    case 'line': {
      const lines = readFileSync(log, 'utf8').split('\n')
      // The oldest checkpoint needs the records up to its step, its evaluation among them.
      const from = lines.findLastIndex((line) => line.includes(`"step":${oldest},`)) + 1
      const at = Math.min(from + random.integer(Math.max(1, lines.length - from)), lines.length - 2)
      if (at < from) return undefined
      const torn = lines[at]!.slice(0, random.integer(lines[at]!.length))
      writeFileSync(
        log,
        [...lines.slice(0, at), torn, ...(which === 'line' ? lines.slice(at + 1) : [])].join('\n'),
      )
      return which === 'line' ? `line ${at + 1} of the log cut` : `the log cut in line ${at + 1}`
    }
    case 'state':
      truncateSync(file, random.integer(statSync(file).size))
      return `${file.slice(run.length + 1)} cut`
    case 'bit': {
      const bytes = readFileSync(file)
      bytes[random.integer(bytes.length)]! ^= 1 << random.integer(8)
      writeFileSync(file, bytes)
      return `a bit of ${file.slice(run.length + 1)} flipped`
    }
    case 'description':
      truncateSync(join(newest, 'checkpoint.json'), random.integer(100))
      return `${newest.slice(run.length + 1)}/checkpoint.json cut`
  }
}

/**
 * @param damages how many of the kills are followed by a damage, of 1
 * @returns kills, and runs that ended otherwise than the undisturbed
 */
export async function killRuns(runs: number, wantedKills: number, damages: number) {
  const names = Object.keys(kinds)
  const [calm, stormy] = [copyOfFurnished('calm'), copyOfFurnished('stormy')]
  for (const name of names.slice(0, runs)) await command(calm, 'run', definition(name, kinds[name]!))
  let [kills, faults] = [0, 0]
  for (let r = 0; r < runs; r++) {
    const kind = names[r % names.length]!
    const name = `${kind}-${r}`
    const file = definition(name, kinds[kind]!)
    const wanted = Math.round((wantedKills * (r + 1)) / runs) - Math.round((wantedKills * r) / runs)
    let own = 0
    for (let left = wanted; left > 0; left--) {
      const run = runFolder(stormy, name)
      const child = run
        ? start(stormy, 'run', '--resume', run.split('/').at(-1)!)
        : start(stormy, 'run', file)
      const hit = await kill(child, name, stepsDone(run))
      if (!hit) break
      kills++
      own++
      const harm = random.next() < damages ? damage(runFolder(stormy, name)!) : undefined
      console.log(`${name}: ${hit}${harm ? `; ${harm}` : ''}`)
    }
    const run = runFolder(stormy, name)!
    if (records(run, 'events.jsonl').at(-1)?.event !== 'completed')
      await command(stormy, 'run', '--resume', run.split('/').at(-1)!)
    const same = result(run) === result(runFolder(calm, kind)!)
    if (!same) faults++
    console.log(`${name}: ${own} kills, ${same ? 'the same bits as the undisturbed run' : 'ANOTHER RESULT'}`)
  }
  return { kills, faults }
}

const definition = (name: string, changes: object) => write(name, { name, ...base, ...changes })
