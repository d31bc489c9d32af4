import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createServices } from '../services'
import { builtWorkers } from './built'

it('an experiment that was changed by somebody else meanwhile is not written over without a word', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'web' })
  try {
    const definition = (seed: number) =>
      stringify({
        name: 'shared',
        corpus: 'text',
        student: { width: 16, layers: 1, heads: 2, context: 24 },
        teachers: [],
        train: { steps: 3, batch: 2, context: 24 },
        seed,
      })
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
