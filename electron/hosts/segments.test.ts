import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
const before = process.env.RETORT_INDEXED
let cache: string

beforeAll(async () => {
  // As if these were large.
  process.env.RETORT_INDEXED = '1'
  furnished = await openFurnished({ bytes: 400_000 })
  cache = join(furnished.dataDir, 'cache', 'tokens')
}, 60_000)
afterAll(async () => {
  if (before === undefined) delete process.env.RETORT_INDEXED
  else process.env.RETORT_INDEXED = before
  await furnished.close()
})

const definition = (name: string) =>
  stringify({
    name,
    corpus: [{ name: 'recipes' }, { name: 'sums', packing: 'documents' }],
    tokenizer: 'bpe',
    student: { width: 16, layers: 1, heads: 2, context: 24 },
    teachers: [],
    train: {
      steps: 40,
      batch: 4,
      context: 24,
      learningRate: 0.003,
      warmup: 2,
      mixture: { by: 'tokens', temperature: 2 },
    },
    evaluate: { every: 10, tokens: 300 },
    checkpoint: { every: 10, keep: 2 },
  })

/** The tokens that are kept, file by file. */
const kept = () =>
  new Map(
    readdirSync(cache)
      .filter((name) => name.endsWith('.log'))
      .map((name) => [name, readFileSync(join(cache, name))]),
  )

it('tokenizes what it reads beside its steps; a kill -9 loses none of it, and the resumed run computes the same', async () => {
  const { experiments, queue } = furnished.services.rooms
  const { id } = experiments.start({ definition: definition('killed') })
  await furnished.kill(id, 13)
  // No file of a whole split: the run began without one.
  expect(readdirSync(cache).filter((name) => name.endsWith('.bin'))).toEqual([])
  const atKill = kept()
  expect(atKill.size).toBeGreaterThan(0)

  queue.resume(id)
  expect(await queue.finished(id)).toMatchObject({ status: 'completed', step: 40 })
  const after = kept()
  const header = 16
  for (const [name, bytes] of atKill) {
    let whole = 0
    while (whole + header <= bytes.length) {
      const next = whole + header + 4 * bytes.readUInt32LE(whole + 8)
      if (next > bytes.length) break
      whole = next
    }
    expect(whole).toBeGreaterThan(0)
    expect(after.get(name)!.subarray(0, whole).equals(bytes.subarray(0, whole))).toBe(true)
  }

  const resumed = furnished.computed(id)
  // Undisturbed, on what is all there; and undisturbed with nothing there.
  for (const name of ['warm', 'cold']) {
    if (name === 'cold') rmSync(cache, { recursive: true })
    const run = await furnished.completed(experiments.start({ definition: definition(name) }).id)
    expect(furnished.computed(run.id)).toEqual(resumed)
  }
}, 120_000)
