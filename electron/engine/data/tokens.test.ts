import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { createBatchPlan } from './batchPlan'
import { WordsInFile } from './tokens'
import { TokenWriter } from './tokenWriter'

const folder = mkdtempSync(join(tmpdir(), 'retort-tokens-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const HEADER = 8
/** More than are noted at a time, in documents of unlike length. */
const documents = Array.from({ length: 25 }, (_, d) =>
  Int32Array.from({ length: 100_000 + 7919 * d }, (_, i) => d * 1_000_000 + i),
)
const header = () => Buffer.from('unharmed')

function whole(path: string): Buffer {
  const words = new WordsInFile(path, HEADER)
  return Buffer.from(words.subarray(0, words.length).buffer)
}

describe('a file of tokens', () => {
  it('is written in parts, and one that a kill ended goes on where it had come to', () => {
    const path = join(folder, 'one.bin')
    const undisturbed = new TokenWriter(path, HEADER)
    for (const ids of documents) undisturbed.add(ids, 1)
    let digest = ''
    undisturbed.finish((_, found) => ((digest = found), header()))
    const expected = whole(path)
    expect(expected.equals(Buffer.concat(documents.map(({ buffer }) => Buffer.from(buffer))))).toBe(true)
    expect(readdirSync(folder)).toEqual(['one.bin'])

    const other = join(folder, 'two.bin')
    const killed = new TokenWriter(other, HEADER)
    for (const ids of documents.slice(0, 23)) killed.add(ids, 1)
    const base = `${other}.${hostname()}.0`
    const good = JSON.parse(readFileSync(`${base}.json`, 'utf8')) as { documents: number }
    expect(good.documents).toBeGreaterThan(15)
    // While it lives nobody takes its files; no process has this number.
    writeFileSync(`${base}.note`, '2147483647\n \n')
    const next = new TokenWriter(other, HEADER)
    expect(next.done).toEqual(good)
    for (const ids of documents.slice(next.done.documents)) next.add(ids, 1)
    next.finish((done, found) => {
      expect(done).toEqual({ documents: 25, tokens: expected.length / 4, bytes: 25 })
      expect(found).toBe(digest)
      return header()
    })
    expect(whole(other).equals(expected)).toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['one.bin', 'two.bin'])
  })

  it('is no other writer’s while that one lives, and of a damaged left-over nothing is kept', () => {
    const path = join(folder, 'three.bin')
    const first = new TokenWriter(path, HEADER)
    const second = new TokenWriter(path, HEADER)
    second.add(documents[1]!, 1)
    first.add(documents[0]!, 1)
    second.abandon()
    writeFileSync(`${path}.${hostname()}.0.note`, '2147483647\n \n')
    writeFileSync(`${path}.${hostname()}.0.json`, '{"documents": 1, "tokens": 99999999, "bytes": 1}')
    const third = new TokenWriter(path, HEADER)
    expect(third.done).toEqual({ documents: 0, tokens: 0, bytes: 0 })
    third.add(documents[2]!, 1)
    third.finish(header)
    expect(whole(path).equals(Buffer.from(documents[2]!.buffer))).toBe(true)
  })
})

it('draws the windows of a masked text in which something counts, each as often', () => {
  const ids = Int32Array.from({ length: 400 }, (_, i) => i)
  const random = createRandom(3, 'mask')
  const mask = Uint8Array.from(ids, (i) => (random.next() < 0.01 || i === 399 ? 1 : 0))
  const context = 6
  const counts = ids.filter(
    (start) => start < 400 - context && mask.subarray(start + 1, start + 1 + context).includes(1),
  )
  const sources = [{ name: 'a', weight: 1, tokens: { ids, mask } }]
  const plan = createBatchPlan({ seed: 2, batch: 100, context, sources })
  const drawn = new Map<number, number>()
  for (let step = 1; step <= 200; step++)
    for (const start of plan.at(step).starts) drawn.set(start, (drawn.get(start) ?? 0) + 1)
  expect([...drawn.keys()].sort((a, b) => a - b)).toEqual([...counts])
  // Of so many draws each: six standard deviations.
  const mean = 20_000 / counts.length
  for (const times of drawn.values()) expect(Math.abs(times - mean)).toBeLessThan(6 * Math.sqrt(mean))
})
