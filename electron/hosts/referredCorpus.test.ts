import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { usualReading } from '#contract'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished

beforeAll(async () => {
  furnished = await openFurnished({ sums: false })
  const path = join(furnished.folder, 'lines.jsonl')
  const lines = Array.from({ length: 300 }, (_, i) => JSON.stringify({ text: `line ${i} of ${i % 7} words` }))
  writeFileSync(path, lines.join('\n'))
  await furnished.services.rooms.library.importCorpus({
    ...usualReading,
    path,
    name: 'lying',
    field: 'text',
    reference: true,
  })
}, 60_000)
afterAll(() => furnished.close())

const grid = (corpus: string) =>
  stringify({
    name: `grid of ${corpus}`,
    base: {
      name: 'base',
      corpus,
      tokenizer: 'bpe',
      student: { width: 8, layers: 1, heads: 1, context: 16 },
      teachers: [],
      train: { steps: 2, batch: 2, context: 16 },
    },
    axes: { 'train.learningRate': [0.001, 0.002] },
    seeds: [1],
  })

it('is refused to a cluster with a data directory of its own, before anything is written or sent', async () => {
  const { services, dataDir } = furnished
  const save = (name: string, transfer: string) =>
    services.call('clusters.save', {
      definition: stringify({
        name,
        host: 'nowhere.invalid',
        dataDir: transfer === 'rsync' ? '/far' : dataDir,
        transfer,
      }),
    })
  await save('far', 'rsync')
  const { grids } = services.rooms
  expect(() => grids.start({ definition: grid('lying'), cluster: 'far', force: false }, 'g.yaml')).toThrow(
    'g.yaml: corpus "lying" is kept by reference, and is not sent to cluster "far"; expected a corpus that was imported as a copy, or a profile with "transfer: shared"',
  )
  expect(services.rooms.grids.list()).toEqual([])
  const runs = join(dataDir, 'runs')
  expect(existsSync(runs) ? readdirSync(runs) : []).toEqual([])
  expect(existsSync(join(dataDir, 'submissions'))).toBe(false)
})
