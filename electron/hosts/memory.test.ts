import { expect, it } from 'vitest'
import type { BenchResult } from '#contract'
import { performJob } from '../services/job'
import { nodeWorkerLauncher } from './nodeWorker'

it('trains without growing: resident memory after step 200 and after step 900', async () => {
  const context = { dataDir: '', threads: () => 1, spawnWorker: nodeWorkerLauncher() }
  const job = { kind: 'bench', config: 'tiny', steps: 900, backend: 'onnx' } as const
  const { growth } = await performJob<BenchResult>(context, job)
  // Garbage that nobody collected made it 7 % and more.
  expect(growth!.endMb / growth!.startMb).toBeLessThan(1.03)
})
