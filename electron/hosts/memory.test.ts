import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import type { BenchResult } from '#contract'
import { createServices } from '../services'
import { libraryRows } from '../services/context'
import { parseExperiment, resolveExperiment } from '../services/experiments'
import { performJob } from '../services/jobs'
import { peakMemory } from '../services/memory'
import { builtWorkers } from './built'

// Once more where it grew: the heap's end may fall before a collection, but what leaks leaks every time.
it('trains without growing: resident memory after step 200 and after step 900', { retry: 1 }, async () => {
  const context = { dataDir: '', threads: () => 1, spawnWorker: builtWorkers() }
  const job = { kind: 'bench', config: 'tiny', steps: 900, backend: 'onnx' } as const
  const { growth } = await performJob<BenchResult>(context, job)
  // Garbage that nobody collected made it 7 % and more.
  expect(growth!.endMb / growth!.startMb).toBeLessThan(1.03)
})

it('takes the memory that was estimated before the start, and refuses what is too much', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library, context, experiments, queue, grids } = services.rooms
  try {
    await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
    await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
    const definition = `name: measured
corpus: recipes
tokenizer: bpe
student: { width: 128, layers: 4, heads: 4, context: 128 }
teachers: []
train: { steps: 3, batch: 32, context: 128 }
evaluate: { every: 0, tokens: 300 }
backend: onnx
`
    const config = resolveExperiment(parseExperiment(definition), libraryRows(context))
    const job = { kind: 'run', config, resume: false } as const
    const { peakMb } = await performJob<{ peakMb: number }>(context, job)
    expect(Math.abs(peakMemory(config) / peakMb - 1)).toBeLessThan(0.15)

    await services.call('settings.set', { memoryGb: 0.4 })
    expect(() => experiments.start({ definition })).toThrow(/train.accumulate: .* can be had; expected/)
    const grid = stringify({ name: 'g', base: parse(definition), axes: { 'train.batch': [1, 32] } })
    expect(() => grids.start({ definition: grid })).toThrow(/the cell "g: batch=32, seed=.*train.accumulate/)
    expect(services.rooms.runs.list()).toEqual([])
    expect(grids.list()).toEqual([])
    const foretold = grids.estimate({ definition: grid }).memoryAdvice!
    expect(foretold).toMatchObject({ limitMb: 410, needMb: peakMemory(config) })
    // A grid whose cells all fit is not held up; nor is one that is forced.
    const small = stringify({ name: 's', base: parse(definition), axes: { 'train.batch': [1] } })
    expect((await grids.finished(grids.start({ definition: small }).id)).status).toBe('completed')
    const begun = grids.start({ definition: grid, force: true })
    grids.stop(begun.id)
    await Promise.all(begun.cells.map(({ run }) => queue.finished(run!)))
    const { estimate } = await services.call('experiments.check', { definition })
    expect(estimate!.memoryAdvice).toMatchObject({ limitMb: 410 })
    const forced = await queue.finished(experiments.start({ definition, force: true }).id)
    expect(forced.status).toBe('completed')
  } finally {
    await services.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
})
