import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import type { BenchResult } from '#contract'

const run = promisify(execFile)

/** Where the scripts lie beside a checkout of the project. */
const STEP = '../shared/peers/torch_step_best.py'
const REAL = '../shared/peers/torch_kd.py'
const STEPS = 12

/** How PyTorch computes: the words of its column, and what each script calls it. */
const MODES = [
  { name: 'eager f32', step: 'e', real: 'e' },
  { name: 'compiled f32', step: 'c', real: 'c' },
  { name: 'compiled bf16', step: 'cbf16', real: 'c-tbf16-sbf16' },
] as const

/** A mode of PyTorch beside the engine: medians over the rounds, in each of which all take their turn. */
export interface PeerComparison {
  name: string
  rounds: number
  tokensPerSecond: number
  /** The largest of the rounds. */
  peakRssMb: number
  /** The engine's tokens/s over PyTorch's. */
  ratio: number
}

export interface Peer {
  python: string
  script: string
  /** Arguments of the script for each mode. */
  modes: readonly { name: string; args: readonly string[] }[]
}

/**
 * @param teachers of the configuration R
 * @returns why not, in one line, where PyTorch or the script is missing
 */
export async function findPeer(config: string, teachers: number, script?: string): Promise<Peer | string> {
  if (!['A', 'B', 'R'].includes(config)) return `the peer knows the configurations A, B and R, not ${config}`
  const named = script ?? (config === 'R' ? REAL : STEP)
  const path = resolve(named)
  if (!existsSync(path)) return `no peer script at ${named}; name one with --peer-script`
  const threads = String(availableParallelism())
  const modes = MODES.map(({ name, step, real }) => ({
    name,
    args: config === 'R' ? [real, String(teachers)] : [config, String(STEPS), threads, step],
  }))
  for (const python of [process.env.RETORT_PYTHON ?? [], 'python3', '/usr/bin/python3'].flat()) {
    const works = await run(python, ['-c', 'import torch']).catch(() => undefined)
    if (works) return { python, script: path, modes }
  }
  return 'no python3 with torch was found to run the peer; RETORT_PYTHON names one'
}

/**
 * Runs `own` and the peer's modes in turn. The engine's figures are those of its median round.
 *
 * @param own measures the engine once, in a process of its own
 */
export async function compareWithPeer(
  peer: Peer,
  rounds: number,
  own: () => Promise<BenchResult>,
): Promise<{ result: BenchResult; comparison: PeerComparison[] }> {
  const results: BenchResult[] = []
  const measured = peer.modes.map((mode) => ({ ...mode, speeds: [] as number[], memory: 0 }))
  for (let i = 0; i < rounds; i++) {
    results.push(await own())
    for (const mode of measured) {
      const { tokensPerSecond, peakRssMb } = await runPeer(peer, mode.args)
      mode.speeds.push(tokensPerSecond)
      mode.memory = Math.max(mode.memory, peakRssMb)
    }
  }
  const speed = middle(results.map(({ tokensPerSecond }) => tokensPerSecond))
  const result = results.find(({ tokensPerSecond }) => tokensPerSecond === speed)!
  const comparison = measured.map(({ name, speeds, memory }) => {
    const tokensPerSecond = middle(speeds)
    return { name, rounds, tokensPerSecond, peakRssMb: memory, ratio: speed / tokensPerSecond }
  })
  return { result, comparison }
}

const REPORT_MEMORY =
  'import resource,runpy,sys; sys.argv=sys.argv[1:]; runpy.run_path(sys.argv[0],run_name="__main__"); print("rss",resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)'

async function runPeer(
  { python, script }: Peer,
  args: readonly string[],
): Promise<{ tokensPerSecond: number; peakRssMb: number }> {
  const { stdout } = await run(python, ['-c', REPORT_MEMORY, script, ...args])
  const speed = /tok\/s (\d+)/.exec(stdout)
  const memory = /^rss (\d+)/m.exec(stdout)
  if (!speed || !memory) throw new Error(`the peer printed no speed: ${stdout.slice(0, 200)}`)
  return { tokensPerSecond: Number(speed[1]), peakRssMb: Number(memory[1]) / 1024 }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
