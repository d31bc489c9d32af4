import { expect, it } from 'vitest'
import { startBackend } from '../backend'
import { RealStep } from './real'

it('a step of live teachers begins at the loss of students and teachers that know nothing', async () => {
  await startBackend('onnx', { threads: 1 })
  for (const teachers of [1, 2]) {
    const step = new RealStep('small', teachers)
    expect(step.config.teachers).toHaveLength(teachers)
    // 0.3 of a cross-entropy near log V; the KL between two nearly uniform distributions is next to nothing.
    expect(Math.abs((await step.run(1)) - 0.3 * Math.log(512))).toBeLessThan(0.1)
  }
})
