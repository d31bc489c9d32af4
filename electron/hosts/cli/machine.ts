import { Option, type Command } from 'commander'
import { backends, type AnyBenchResult, type Backend, type BenchResult, type GridBench } from '#contract'
import { type JobOf, performJob } from '../../services/jobs'
import { show } from '../../services/report'
import { nodeWorkerLauncher } from '../nodeWorker'
import { compareWithPeer, findPeer } from './peer'
import { describeSweep, sweep } from './sweep'
import { report, type GlobalOptions } from './session'

export function machineCommands(program: Command): void {
  program
    .command('bench')
    .description('parts of the engine, timed')
    .addOption(
      new Option('--part <part>', 'what is timed')
        .choices(['step', 'teacher', 'generation', 'tokenizer', 'grid'])
        .default('step'),
    )
    .addOption(
      new Option('--config <name>', 'of the design').choices(['tiny', 'A', 'B', 'C', 'R']).default('A'),
    )
    .option('--teachers <n>', 'of the configuration R', Number, 1)
    .addOption(new Option('--backend <name>', 'what computes').choices([...backends]).default('auto'))
    .option('--steps <n>', 'timed steps', Number, 12)
    .option('--threads <n>', 'of the worker; 0 is one a core', Number, 0)
    .option('--sweep', 'the step with 1, 2 and 4 threads, alone and beside a process that keeps a core busy')
    .option('--peer', "the step in turns with PyTorch's: eager, compiled, compiled in bf16")
    .option('--peer-script <file>', "PyTorch's step; default beside the checkout")
    .option('--rounds <n>', 'turns of the comparison', Number, 5)
    .action(async (own: BenchOptions, command: Command) => {
      await report(command.optsWithGlobals<GlobalOptions>(), () => bench(own))
    })
}

async function bench({ threads, sweep: swept, peer, peerScript, rounds, ...job }: BenchOptions) {
  if (swept) {
    const rows = await sweep((count) => bareJob<BenchResult>({ kind: 'bench', ...job, part: 'step' }, count))
    return { json: { config: job.config, rows }, text: describeSweep(rows) }
  }
  const measure = () => bareJob<AnyBenchResult>({ kind: 'bench', ...job }, threads)
  const found = peer && job.part === 'step' ? await findPeer(job.config, job.teachers, peerScript) : undefined
  if (typeof found !== 'object') {
    const result = await measure()
    const text = [describeBench(result), ...(found ? [found] : [])].join('\n')
    return { json: found ? { ...result, peer: null, peerNote: found } : result, text }
  }
  const own = () => measure() as Promise<BenchResult>
  const { result, comparison } = await compareWithPeer(found, rounds, own)
  const lines = comparison.map(
    (one) =>
      `PyTorch, ${one.name}: ${show(one.tokensPerSecond)} tokens/s, peak ${show(one.peakRssMb)} MB; ours ${show(one.ratio)} times as many tokens/s (medians of ${one.rounds} rounds)`,
  )
  const text = [describeBench(result), ...lines].join('\n')
  return { json: { ...result, peer: comparison }, text }
}

function describeBench(result: AnyBenchResult): string {
  if (!('part' in result)) {
    return `${result.config} on ${result.backend}, ${result.threads} threads: ${show(result.msPerStep)} ms a step, ${show(result.tokensPerSecond)} tokens/s, ${show(result.gflops)} GFLOP/s of ${show(result.ceilingGflops)} (${show(result.mfu * 100)} %), peak ${show(result.peakRssMb)} MB${grown(result)}`
  }
  switch (result.part) {
    case 'teacher':
      return `${result.config} as a teacher: ${show(result.msPerPass)} ms a pass, ${show(result.tokensPerSecond)} tokens/s`
    case 'generation':
      return `${result.config}: ${show(result.tokensPerSecond)} tokens/s with the KV cache, ${show(result.tokensPerSecondWithoutCache)} without it (${show(result.ratio)} times), ${result.sameTokens ? 'the same tokens' : 'OTHER TOKENS'}; ${result.together.map(({ sequences, tokensPerSecond }) => `${sequences} side by side: ${show(tokensPerSecond)} tokens/s`).join(', ')}`
    case 'grid':
      return describeGrid(result)
    case 'tokenizer':
      return `BPE of ${result.vocab} pieces trained on ${show(result.megabytes)} MB in ${show(result.trainingSeconds)} s; encodes ${show(result.encodeMbPerSecond)} MB/s`
  }
}

function describeGrid(bench: GridBench): string {
  const {
    cells,
    teachers,
    config,
    threads,
    ratio,
    ratioWithoutCache,
    msPerPass,
    msPerStep,
    spread,
    lossGap,
  } = bench
  const pass = (kind: keyof GridBench['msPerPass']) => middle(msPerPass[kind], spread.msPerPass[kind])
  const step = (kind: keyof GridBench['msPerStep']) => middle(msPerStep[kind], spread.msPerStep[kind])
  const modes = (['exact', 'top-k', 'sample'] as const).map(
    (mode) =>
      `  ${mode}: ${show(ratio[mode])} times passes and students alone; ${pass(mode)} ms a pass and batch, ${step(mode)} ms a step, losses at most ${lossGap[mode].toExponential(1)} from those with live teachers`,
  )
  return [
    `${cells} cells of ${config} with ${teachers} teachers on ${threads} threads, medians (and quartiles): alone ${pass('alone')} ms a pass and batch, ${step('given')} ms a step with its targets given (${step('none')} without teachers, ${step('live')} with live ones)`,
    ...modes,
    `  off: ${show(ratioWithoutCache)} times`,
  ].join('\n')
}

const middle = (median: number, [low, high]: [number, number]) =>
  `${show(median)} (${show(low)} to ${show(high)})`

function grown({ growth }: BenchResult): string {
  return growth
    ? `, resident ${show(growth.startMb)} MB after step 200, ${show(growth.endMb)} at the end`
    : ''
}

interface BenchOptions {
  part: 'step' | 'teacher' | 'generation' | 'tokenizer' | 'grid'
  config: 'tiny' | 'A' | 'B' | 'C' | 'R'
  teachers: number
  backend: Backend
  steps: number
  threads: number
  sweep?: boolean
  peer?: boolean
  peerScript?: string
  rounds: number
}

/** A job that needs no data directory. */
export function bareJob<T>(job: JobOf<'bench' | 'self-test'>, threads = 0): Promise<T> {
  return performJob<T>({ dataDir: '', threads: () => threads, spawnWorker: nodeWorkerLauncher() }, job)
}
