import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { RetortError } from '#contract'
import { createRandom } from '../files'
import type { Mutate } from './mutate'

/** Where a reader finds its input. */
export interface Place {
  /** The reader's own. */
  folder: string
  /** Of the input, where the reader reads a file. */
  path: string
}

/** Something that reads what a user, another program or a broken disk may have written. */
export interface Reader {
  name: string
  seeds: readonly Uint8Array[]
  mutate: Mutate
  /** The input's file below the reader's folder; absent: the reader is given the bytes alone. */
  file?: string
  /** What lies beside the input; called once. */
  furnish?(folder: string): unknown
  /** Reads it, or throws. */
  read(input: Uint8Array, place: Place): unknown
  /** Inputs of the short test: fewer where each takes long. */
  quick: number
  close?(): unknown
}

export interface Fault {
  input: number
  why: string
  /** The input itself. */
  file: string
}

export interface Tally {
  reader: string
  inputs: number
  read: number
  refused: number
  worstSeconds: number
  /** Bytes that the process grew by at most during one input. */
  worstMemory: number
  faults: Fault[]
}

const MB = 2 ** 20
const MOST_SECONDS = 2

/** Words of parsers and of the language, and of nobody who was asked to explain. */
const RAW =
  /Unexpected |Invalid (input|option|discriminator|string)|in JSON at|is not valid JSON|Unresolved|Excessive|received undefined|undefined\b|\[object |\bNaN bytes|Maximum call|Cannot read|is not a function|is not iterable|\bheap\b|allocation|E[A-Z]{4,}: |zod/
/** What is not to be in a message: it moves a cursor, hides or turns the text round. */
const UNSEEN = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/

/** The input of that number: 0 is a valid one, unchanged. */
export function inputOf(reader: Reader, seed: number, number: number): Uint8Array {
  if (number < reader.seeds.length) return reader.seeds[number]!
  const random = createRandom(seed, `fuzz/${reader.name}/${number}`)
  return reader.mutate(reader.seeds[random.integer(reader.seeds.length)]!, random)
}

/**
 * Gives a reader inputs `from..from + count`, the first of all being its valid seeds. Each is read, or refused by a
 * RetortError in our words; anything else is a fault.
 *
 * @param time whether to take more than two seconds for a fault
 * @param before hears of an input's number before it is read
 */
export async function fuzz(
  reader: Reader,
  folder: string,
  { seed = 1, from = 0, count = reader.quick, time = false, before = (_: number): unknown => undefined } = {},
): Promise<Tally> {
  const { name } = reader
  const own = join(folder, name)
  const path = join(own, reader.file ?? 'input')
  mkdirSync(dirname(path), { recursive: true })
  await reader.furnish?.(own)
  const tally: Tally = {
    reader: name,
    inputs: 0,
    read: 0,
    refused: 0,
    worstSeconds: 0,
    worstMemory: 0,
    faults: [],
  }
  for (let number = from; number < from + count; number++) {
    const input = inputOf(reader, seed, number)
    before(number)
    if (reader.file) writeFileSync(path, input)
    const [started, peak, resident] = [
      process.cpuUsage(),
      process.resourceUsage().maxRSS,
      process.memoryUsage.rss(),
    ]
    const why: string[] = []
    try {
      await reader.read(input, { folder: own, path })
      tally.read++
    } catch (error) {
      tally.refused++
      const wrong = number < reader.seeds.length ? `a valid input: ${String(error)}` : faultOf(error, reader)
      if (wrong) why.push(wrong)
    }
    // Of the processor: beside other work the clock says more of that.
    const { user, system } = process.cpuUsage(started)
    const seconds = (user + system) / 1e6
    const now = process.resourceUsage().maxRSS
    const grown = now > peak ? now * 1024 - resident : 0
    tally.inputs++
    tally.worstSeconds = Math.max(tally.worstSeconds, seconds)
    tally.worstMemory = Math.max(tally.worstMemory, grown)
    if (time && seconds > MOST_SECONDS) why.push(`it took ${seconds.toFixed(1)} s`)
    if (grown > 4 * input.length + 100 * MB)
      why.push(`${Math.round(grown / MB)} MB for ${input.length} bytes`)
    const polluted = Object.keys(Object.prototype)
    if (polluted.length) why.push(`all objects now have ${polluted.join()}`)
    for (const key of polluted) delete (Object.prototype as Record<string, unknown>)[key]
    for (const what of why) {
      const file = join(folder, `${name}-${number}`)
      writeFileSync(file, input)
      tally.faults.push({ input: number, why: what, file })
    }
  }
  await reader.close?.()
  return tally
}

/** What is wrong with a refusal; undefined where it is as it should be. */
function faultOf(error: unknown, { name, file }: Reader): string | undefined {
  if (!(error instanceof RetortError)) {
    const { stack } = error as Error
    return `not an error of ours: ${(stack ?? String(error)).split('\n').slice(0, 4).join(' | ')}`
  }
  const { message } = error
  if (UNSEEN.test(message)) return `a message that is not one plain line: ${JSON.stringify(message)}`
  if (RAW.test(message)) return `raw words: ${message}`
  // Some name another file that theirs leads to.
  if (file && !message.includes(join(sep, name, sep))) return `the file is not named: ${message}`
  return undefined
}
