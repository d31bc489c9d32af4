import { expect, it } from 'vitest'
import type { BenchResult } from '#contract'
import { performJob } from '../../services/jobs'
import { builtWorkers } from '../built'
import { besideNeighbour, describeSweep, sweep } from './sweep'

it('times the step for every number of threads, alone and beside a neighbour', async () => {
  const measure = (threads: number) =>
    performJob<BenchResult>(
      { dataDir: '', threads: () => threads, spawnWorker: builtWorkers() },
      { kind: 'bench', config: 'tiny', steps: 2, backend: 'onnx' },
    )
  const rows = await sweep(measure, 2)
  expect(rows.map(({ threads, neighbour }) => [threads, neighbour])).toEqual([
    [1, false],
    [2, false],
    [1, true],
    [2, true],
  ])
  for (const { tokensPerSecond } of rows) expect(tokensPerSecond).toBeGreaterThan(0)
  expect(describeSweep(rows).trim().split('\n').length).toBeGreaterThanOrEqual(5)
})

it('ends the neighbour also when the work fails', async () => {
  await expect(besideNeighbour(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
})
