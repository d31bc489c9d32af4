import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fuzz, type Tally } from './harness'
import { readers } from './readers'

/**
 * `npm run fuzz`: every reader is given many damaged inputs, in a process of its own so that its death is seen. Not among
 * the tests, which give each a few: it takes hours. Exit status 1 if an input was neither read nor refused in our words,
 * within two seconds and four times its size plus 100 MB.
 */
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    /** Default: all of them. */
    reader: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    /** Number of the first input: what it is depends on it and the seed alone. */
    from: { type: 'string', default: '0' },
    /** Of the processes that this one starts. */
    child: { type: 'string' },
  },
})
const [INPUTS, SEED, FROM] = [values.inputs, values.seed, values.from].map(Number) as [number, number, number]
/** A reader that has said nothing for so long hangs: five hundred inputs, on a busy machine at low priority. */
const SILENCE_MS = 600_000
/** Faults of a reader that are shown. */
const SHOWN = 5

interface Ended {
  tally?: Tally
  /** The input that it was at, if it did not come to its end. */
  at: number
  why?: string
}

async function child(folder: string): Promise<void> {
  const reader = readers.find(({ name }) => name === values.reader![0])!
  let told = 0
  const before = (number: number) => {
    // Each tells where a death happened; the parent keeps the last.
    if (number - told >= 500 || told === 0) process.send!({ at: (told = number) })
    at = number
  }
  let at = FROM
  process.on('disconnect', () => process.exit())
  process.on('uncaughtException', (error) => {
    process.send!({ at, why: String(error.stack) }, () => process.exit(1))
  })
  const tally = await fuzz(reader, folder, { seed: SEED, from: FROM, count: INPUTS, time: true, before })
  process.send!({ at, tally }, () => process.exit())
}

async function run(name: string, folder: string): Promise<Ended> {
  const args = [
    '--child',
    folder,
    '--reader',
    name,
    '--seed',
    values.seed,
    '--inputs',
    values.inputs,
    '--from',
    values.from,
  ]
  const process = fork(import.meta.filename, args, { execArgv: ['--import', 'tsx'] })
  let ended: Ended = { at: FROM }
  let timer: NodeJS.Timeout | undefined
  const watch = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      ended.why = `nothing for ${SILENCE_MS / 1000} s`
      process.kill('SIGKILL')
    }, SILENCE_MS)
  }
  watch()
  process.on('message', (message: Ended) => {
    ended = message
    watch()
  })
  const [status, signal] = (await once(process, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  return ended.tally ? ended : { ...ended, why: ended.why ?? `it died (${signal ?? status})` }
}

async function main(): Promise<void> {
  const names = values.reader ?? readers.map(({ name }) => name)
  const unknown = names.find((name) => !readers.some((reader) => reader.name === name))
  if (unknown)
    throw new Error(`no reader "${unknown}"; there are ${readers.map(({ name }) => name).join(', ')}`)
  const folder = mkdtempSync(join(tmpdir(), 'retort-fuzz-'))
  let faults = 0
  console.log(
    '| reader | inputs | read | refused | worst s | worst MB | faults |\n|---|---:|---:|---:|---:|---:|---:|',
  )
  for (const name of names) {
    const { tally, at, why } = await run(name, folder)
    if (!tally) {
      faults++
      console.log(`| ${name} | DIED at or up to 500 inputs after ${at}: ${why} |`)
      continue
    }
    const { inputs, read, refused, worstSeconds, worstMemory } = tally
    const cells = [name, inputs, read, refused, worstSeconds.toFixed(2), Math.round(worstMemory / 2 ** 20)]
    console.log(`| ${[...cells, tally.faults.length].join(' | ')} |`)
    for (const { input, why: what, file } of tally.faults.slice(0, SHOWN))
      console.log(`  ${input} (${file}): ${what}`)
    faults += tally.faults.length
  }
  if (faults) process.exitCode = 1
  else rmSync(folder, { recursive: true, force: true })
}

await (values.child === undefined ? main() : child(values.child))
