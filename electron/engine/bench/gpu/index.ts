import type { REAL } from '../real'
import type { configurations, Precision } from '../reference'
import { Check } from './check'
import { tableOf } from './row'

/**
 * `npm run check:gpu`: finds the adapter, compares kernels and training steps with the CPU, times steps on WebGPU and
 * PyTorch's beside them, and prints a table; in $OUT, where that is set, also gpu.json. With --quick only small models.
 */
async function main(args: readonly string[]): Promise<void> {
  if (args[0] === '--part') return part(args[1]!, args.slice(2))
  const unknown = args.find((arg) => arg !== '--quick')
  if (unknown) {
    process.stderr.write(`check:gpu: unknown argument ${unknown}; it takes --quick\n`)
    process.exit(2)
  }
  const quick = args.includes('--quick')
  const check = new Check({ quick, seconds: quick ? 1800 : SECONDS, out: process.env.OUT })
  const rows = await check.run()
  process.stdout.write(`\n${tableOf(rows)}\n`)
  process.exitCode = rows.some(({ error }) => error) ? 1 : 0
}

/** Six minutes are the limit; the last part's process has to end. */
const SECONDS = 335

/** What runs in a process of its own. */
async function part(kind: string, args: readonly string[]): Promise<void> {
  if (kind === 'kernels') {
    const { checkKernels } = await import('./kernels')
    await checkKernels(Number(args[0]), Number(args[1]))
  } else if (kind === 'steps') {
    const { checkSteps } = await import('./agreement')
    const precisions = args[1]!.split(',') as Precision[]
    await checkSteps(args[0] as keyof typeof configurations, precisions, args[2]!)
  } else {
    const [name, precision, device, steps, seconds] = args
    const timing = {
      precision: precision as Precision,
      device: device!,
      steps: Number(steps),
      seconds: Number(seconds),
    }
    const { timeConfiguration, timeReal } = await import('./speed')
    if (kind === 'real') await timeReal(name as keyof typeof REAL, timing)
    else await timeConfiguration(name as keyof typeof configurations, timing)
  }
  // The runtime's threads hold the process; what was said has to be out before.
  process.stdout.write('', () => process.exit(0))
}

await main(process.argv.slice(2))
