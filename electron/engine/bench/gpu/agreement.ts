import { startBackend, type BackendKind } from '../../backend'
import { agreementPath, AGREEMENT_STEPS } from '../../train/agreement'
import { configurations, ReferenceStep, type Precision } from '../reference'
import { say } from './row'

/** Largest difference, in parts, that the paths of a backend and of the reference may have. */
const LIMIT = { f32: 1e-4, f16: 2e-2 }

/**
 * Steps of a run with every loss on beside tfjs's own backend, and steps of a configuration beside onnx on the CPU.
 * @param name of the configuration
 */
export async function checkSteps(
  name: keyof typeof configurations,
  precisions: readonly Precision[],
  device: string,
): Promise<void> {
  const expected = await agreementPath('cpu')
  const losses = (await lossesOf('onnx', name, 'f32')).map((loss) => [loss])
  for (const precision of precisions) {
    tell('a run', precision, device, await agreementPath('webgpu', precision), expected)
    const own = (await lossesOf('webgpu', name, precision)).map((loss) => [loss])
    tell(`configuration ${name}`, precision, device, own, losses)
  }
}

async function lossesOf(backend: BackendKind, name: keyof typeof configurations, precision: Precision) {
  await startBackend(backend, { threads: 0 })
  const step = new ReferenceStep(configurations[name], precision)
  const losses: number[] = []
  for (let i = 1; i <= AGREEMENT_STEPS; i++) losses.push(await step.run(i))
  step.dispose()
  return losses
}

function tell(
  of: string,
  precision: Precision,
  device: string,
  path: readonly number[][],
  expected: readonly number[][],
): void {
  const differences = expected.flatMap((step, i) =>
    step.map((value, j) => Math.abs(path[i]![j]! - value) / Math.abs(value)),
  )
  const worst = differences.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a), 0)
  const note = `differ from the CPU's by ${worst.toExponential(1)} at most`
  const wrong = !(worst <= LIMIT[precision]) && { error: `${note}, more than ${LIMIT[precision]}` }
  say({ row: { what: `${AGREEMENT_STEPS} steps of ${of}`, device, precision, note, ...wrong } })
}
