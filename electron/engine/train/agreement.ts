import { numberOf } from '#contract'
import { startBackend, type BackendKind } from '../backend'
import { createTables } from '../model/forward'
import { TrainingStep } from './step'
import { Student } from './student'
import { batch, model, runConfig, teacherSource } from './testing'

export const AGREEMENT_STEPS = 20

/** Per step: loss, KD, CE, features, norm of the gradient, disagreement, alphas. */
export type Path = number[][]

/** The real step with every loss on, by which backends are compared. */
export async function agreementPath(kind: BackendKind, precision: 'f32' | 'f16' = 'f32'): Promise<Path> {
  const weighting = { strategy: 'entropy', granularity: 'token' }
  const features = { gamma: 0.3, beta: [1, 0.5, 2], layers: 'uniform' }
  const train = { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01, precision }
  const config = runConfig({ weighting, loss: { lambda: 0.6, tau: 2, features }, train }, 3)
  await startBackend(kind, { threads: 1 })
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 20 + 10 * k))
  const step = new TrainingStep(config, new Student(config), createTables(model, 8), teachers)
  const path: Path = []
  for (let i = 1; i <= AGREEMENT_STEPS; i++) {
    const m = await step.run(i, batch(i))
    path.push([m.loss, m.kd, m.ce, m.features, m.gradNorm, m.disagreement, ...m.alpha!].map(numberOf))
  }
  for (const teacher of teachers) teacher.dispose()
  return path
}
