import { expect, it } from 'vitest'
import { startBackend, type BackendKind } from '../backend'
import { findTensorflow } from '../backend/tensorflow'
import { webgpuObstacle } from '../backend/webgpuObstacle'
import { createTables } from '../model/forward'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

/** Losses, norms and weights of every backend are those of the reference, over the real step with every loss on. */

const STEPS = 20

const config = runConfig(
  {
    weighting: { strategy: 'entropy', granularity: 'token' },
    loss: { lambda: 0.6, tau: 2, features: { gamma: 0.3, beta: [1, 0.5, 2], layers: 'uniform' } },
  },
  3,
)

type Path = number[][]

/** Per step: loss, KD, CE, features, norm of the gradient, disagreement, alphas. */
async function train(kind: BackendKind): Promise<Path> {
  await startBackend(kind, { threads: 1 })
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 20 + 10 * k))
  const step = new TrainingStep(config, new Student(config), createTables(model, 8), teachers)
  const path: Path = []
  for (let i = 1; i <= STEPS; i++) {
    const m = await step.run(i, batch(i))
    path.push([m.loss!, m.kd!, m.ce!, m.features!, m.gradNorm!, m.disagreement!, ...m.alpha!])
  }
  for (const teacher of teachers) teacher.dispose()
  return path
}

let reference: Promise<Path> | undefined

function expectAgreement(path: Path, expected: Path): void {
  expect(path.length).toBe(STEPS)
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
  `%s takes the reference's ${STEPS} steps to 1e-4`,
  async (kind) => {
    const obstacle = await obstacles[kind]?.()
    if (obstacle) {
      process.stderr.write(`SKIPPED: the agreement of ${kind} with the reference: ${obstacle}\n`)
      return
    }
    reference ??= train('cpu')
    expectAgreement(await train(kind), await reference)
  },
  120_000,
)
