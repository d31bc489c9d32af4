import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import type { BenchResult } from '#contract'
import { show } from '../../services/report'
import { formatTable } from './terminal'

const THREADS = [1, 2, 4]

/** The engine's step with so many threads, alone on the machine or beside a process that keeps a core busy. */
export interface SweepRow extends Pick<
  BenchResult,
  'msPerStep' | 'tokensPerSecond' | 'gflops' | 'peakRssMb'
> {
  threads: number
  neighbour: boolean
}

/**
 * Measures with 1, 2 and 4 threads, as far as there are cores, each alone and beside a neighbour.
 *
 * @param measure times the step with so many threads, in a process of its own
 */
export async function sweep(
  measure: (threads: number) => Promise<BenchResult>,
  cores = availableParallelism(),
): Promise<SweepRow[]> {
  const rows: SweepRow[] = []
  for (const neighbour of [false, true]) {
    for (const threads of THREADS.filter((count) => count <= cores)) {
      const { msPerStep, tokensPerSecond, gflops, peakRssMb } = neighbour
        ? await besideNeighbour(() => measure(threads))
        : await measure(threads)
      rows.push({ threads, neighbour, msPerStep, tokensPerSecond, gflops, peakRssMb })
    }
  }
  return rows
}

/** Does something while another process keeps one core busy. */
export async function besideNeighbour<T>(work: () => Promise<T>): Promise<T> {
  const neighbour = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  try {
    await once(neighbour, 'spawn')
    return await work()
  } finally {
    const gone = once(neighbour, 'exit')
    neighbour.kill('SIGKILL')
    await gone
  }
}

export function describeSweep(rows: readonly SweepRow[]): string {
  return formatTable(
    ['threads', 'beside', 'ms a step', 'tokens/s', 'GFLOP/s', 'peak MB'],
    rows.map(({ threads, neighbour, ...row }) => [
      String(threads),
      neighbour ? 'a busy core' : 'nobody',
      ...[row.msPerStep, row.tokensPerSecond, row.gflops, row.peakRssMb].map(show),
    ]),
  )
}
