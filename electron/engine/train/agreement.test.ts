import { expect, it } from 'vitest'
import type { BackendKind } from '../backend'
import { findTensorflow } from '../backend/tensorflow'
import { webgpuObstacle } from '../backend/webgpuObstacle'
import { agreementPath, AGREEMENT_STEPS, type Path } from './agreement'

/** Losses, norms and weights of every backend are those of the reference, over the real step with every loss on. */

let reference: Promise<Path> | undefined

function expectAgreement(path: Path, expected: Path): void {
  expect(path.length).toBe(AGREEMENT_STEPS)
  for (const [i, step] of expected.entries()) {
    for (const [j, value] of step.entries()) {
      expect(value).toBeGreaterThan(0)
      expect(Math.abs(path[i]![j]! - value) / value).toBeLessThanOrEqual(1e-4)
    }
  }
}

/** Why a backend cannot be tried here, if it cannot. */
const obstacles: Partial<Record<BackendKind, () => Promise<string | undefined>>> = {
  webgpu: webgpuObstacle,
  async tensorflow() {
    const found = findTensorflow()
    return Array.isArray(found) ? found.join('; ') : undefined
  },
}

it.each(['onnx', 'webgpu', 'tensorflow'] as const)(
  `%s takes the reference's ${AGREEMENT_STEPS} steps to 1e-4`,
  async (kind) => {
    const obstacle = await obstacles[kind]?.()
    if (obstacle) {
      process.stderr.write(`SKIPPED: the agreement of ${kind} with the reference: ${obstacle}\n`)
      return
    }
    reference ??= agreementPath('cpu')
    expectAgreement(await agreementPath(kind), await reference)
  },
  120_000,
)
