import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createServices } from '../services'
import { builtWorkers } from './built'

const definition = (seed: number) =>
  stringify({
    name: 'shared',
    corpus: 'text',
    student: { width: 16, layers: 1, heads: 2, context: 24 },
    teachers: [],
    train: { steps: 3, batch: 2, context: 24 },
    seed,
  })

it('an experiment that was changed by somebody else meanwhile is not written over without a word', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })
  try {
    const first = await services.call('experiments.save', { definition: definition(1) })
    const { id, updatedAt: since } = first
    await new Promise((resolve) => setTimeout(resolve, 5))
    const second = await services.call('experiments.save', { id, definition: definition(2), since })
    const late = services.call('experiments.save', { id, definition: definition(3), since })
    await expect(late).rejects.toMatchObject({
      code: 'conflict',
      message: `experiment "shared" was changed elsewhere meanwhile, at ${second.updatedAt}`,
    })
    expect(await services.call('experiments.get', { id })).toEqual(second)
    const told = { id, definition: definition(3), since: second.updatedAt }
    expect(await services.call('experiments.save', told)).toMatchObject({ definition: definition(3) })
    // A command that names no version means what it says.
    expect(await services.call('experiments.save', { id, definition: definition(4) })).toMatchObject({
      definition: definition(4),
    })
  } finally {
    await services.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

it('what an experiment was before it was saved anew stays, the last ten times, and outlives the host', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  const open = () => createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })
  let services = await open()
  try {
    const { id } = await services.call('experiments.save', { definition: definition(0) })
    expect(await services.call('experiments.versions', { id })).toEqual([])
    // The same text anew is no other version.
    for (let seed = 0; seed <= 12; seed++)
      for (let times = 0; times < 2; times++)
        await services.call('experiments.save', { id, definition: definition(seed) })
    await services.close()
    services = await open()
    const versions = await services.call('experiments.versions', { id })
    expect(versions.map((version) => version.definition)).toEqual(
      Array.from({ length: 10 }, (_, i) => definition(11 - i)),
    )
    // Lists are sent to every page: they go without.
    for (const row of await services.call('experiments.list', {})) expect(row).not.toHaveProperty('versions')
    // They go into the bin with it, and come back.
    const removed = await services.call('experiments.remove', { id })
    await services.call('bin.restore', { id: removed.id })
    expect(await services.call('experiments.versions', { id })).toEqual(versions)
  } finally {
    await services.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
})
