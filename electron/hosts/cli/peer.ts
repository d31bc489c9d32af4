import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import type { BenchResult } from '#contract'

const run = promisify(execFile)

/** Where the script lies beside a checkout of the project. */
const SCRIPT = '../shared/peers/torch_step.py'
const PYTHONS = ['python3', '/usr/bin/python3']
const STEPS = 12
const THREADS = [1, 2]

/** The engine's step beside PyTorch's: medians over the rounds, in each of which all take their turn. */
export interface PeerComparison {
  rounds: number
  /** Threads of the faster of PyTorch's settings. */
  threads: number
  tokensPerSecond: number
  peakRssMb: number
  /** The engine's tokens/s over PyTorch's. */
  ratio: number
}

export interface Peer {
  python: string
  script: string
}

/** @returns why not, in one line, where PyTorch or the script is missing */
export async function findPeer(config: string, script = SCRIPT): Promise<Peer | string> {
  if (config !== 'A' && config !== 'B') return `the peer knows the configurations A and B, not ${config}`
  const path = resolve(script)
  if (!existsSync(path)) return `no peer script at ${script}; name one with --peer-script`
  for (const python of PYTHONS) {
    const works = await run(python, ['-c', 'import torch']).catch(() => undefined)
    if (works) return { python, script: path }
  }
  return 'no python3 with torch was found to run the peer'
}

/**
 * Runs `own` and the peer in turn. The engine's figures are those of its median round.
 *
 * @param own measures the engine once, in a process of its own
 */
export async function compareWithPeer(
  peer: Peer,
  config: string,
  rounds: number,
  own: () => Promise<BenchResult>,
): Promise<{ result: BenchResult; comparison: PeerComparison }> {
  const results: BenchResult[] = []
  const measured = THREADS.map((threads) => ({ threads, speeds: [] as number[], memory: 0 }))
  for (let i = 0; i < rounds; i++) {
    results.push(await own())
    for (const setting of measured) {
      const { tokensPerSecond, peakRssMb } = await runPeer(peer, config, setting.threads)
      setting.speeds.push(tokensPerSecond)
      setting.memory = Math.max(setting.memory, peakRssMb)
    }
  }
  const best = measured.reduce((a, b) => (middle(b.speeds) > middle(a.speeds) ? b : a))
  const speed = middle(results.map(({ tokensPerSecond }) => tokensPerSecond))
  const result = results.find(({ tokensPerSecond }) => tokensPerSecond === speed)!
  const tokensPerSecond = middle(best.speeds)
  const comparison = {
    rounds,
    threads: best.threads,
    tokensPerSecond,
    peakRssMb: best.memory,
    ratio: speed / tokensPerSecond,
  }
  return { result, comparison }
}

const REPORT_MEMORY =
  'import resource,runpy,sys; sys.argv=sys.argv[1:]; runpy.run_path(sys.argv[0],run_name="__main__"); print("rss",resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)'

async function runPeer(
  { python, script }: Peer,
  config: string,
  threads: number,
): Promise<{ tokensPerSecond: number; peakRssMb: number }> {
  const env = { ...process.env, OMP_NUM_THREADS: String(threads) }
  const { stdout } = await run(
    python,
    ['-c', REPORT_MEMORY, script, config, String(STEPS), String(threads)],
    { env },
  )
  const speed = /tok\/s (\d+)/.exec(stdout)
  const memory = /^rss (\d+)/m.exec(stdout)
  if (!speed || !memory) throw new Error(`the peer printed no speed: ${stdout.slice(0, 200)}`)
  return { tokensPerSecond: Number(speed[1]), peakRssMb: Number(memory[1]) / 1024 }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
