import { Option, type Command } from 'commander'
import { gridExportFormats, gridFigures, type GridRow } from '#contract'
import { show } from '../../services/report'
import { costs, foretell } from './gridCost'
import { exportGrid, type ExportOptions } from './gridExport'
import { backendOption, countOrAuto } from './arguments'
import { readDefinition } from './runs'
import { perform, type GlobalOptions } from './session'
import { duration, formatTable } from './terminal'

interface GridOptions extends Omit<ExportOptions, 'format'> {
  jobs?: number | 'auto'
  cluster?: string
  export?: ExportOptions['format']
  dryRun?: boolean
  force?: boolean
}

export function gridCommands(program: Command): void {
  program
    .command('grid')
    .description('an ablation grid; started again, it goes on with what is unfinished')
    .argument('<grid>', 'YAML file; with --export also a name or an id')
    .option(
      '--jobs <n>',
      'cells computed side by side; auto: one or two, whichever short runs show to be faster',
      countOrAuto,
    )
    .addOption(backendOption())
    .option('--cluster <name>', 'a Slurm cluster computes the cells; Ctrl-C ends this command, not them')
    .addOption(
      new Option('--export <format>', 'computes nothing: writes the results').choices(gridExportFormats),
    )
    .option('--out <file>', 'of the export')
    .option('--metric <key>', 'of the export; default perplexity')
    .option('--baseline <setting>', 'of the export, as in "weighting.strategy=uniform"')
    .option('--rows <axis>', 'of the matrix that is exported')
    .option('--columns <axis>')
    .addOption(
      new Option('--figure <kind>', 'that is exported as svg').choices(gridFigures).default('heatmap'),
    )
    .option('--force', 'start also when a cell needs more memory than can be had')
    .option('--dry-run', 'only says what it will cost: passes, time, memory, disk')
    .action(async (file: string, own: GridOptions, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      if (own.export !== undefined) return exportGrid(file, { ...own, format: own.export }, options)
      if (own.dryRun) return perform(options, 'read', async ({ rooms }) => foretell(rooms, file, own.jobs))
      await perform(options, 'write', async (session) => {
        const { rooms, services, progress, signal } = session
        const { grids, context } = rooms
        const began = Date.now()
        const definition = readDefinition(file)
        if (own.jobs === 'auto' && own.cluster !== undefined)
          process.stderr.write(
            '--jobs auto is not measured: the cluster decides how many cells run at once\n',
          )
        else if (own.jobs === 'auto') {
          const { jobs, why } = await grids.chooseJobs({ definition }, file, { signal })
          process.stderr.write(`${jobs} side by side (${why})\n`)
          context.jobs = jobs
        } else if (own.jobs !== undefined) context.jobs = own.jobs
        const { cluster, force } = own
        const foretold = cluster === undefined && `${costs(grids.estimate({ definition }, file))}\n`
        const { id } = grids.start({ definition, cluster, force }, file)
        if (foretold) process.stderr.write(foretold)
        let told: string | undefined
        services.onPush((_, push) => {
          if (push.topic !== 'grid' || push.grid.id !== id) return
          const [passes] = passesOf(push.grid)
          // Said when it changes: a login host that cannot be reached is named here too.
          if (passes !== undefined && passes !== told) process.stderr.write(`${(told = passes)}\n`)
          progress.show(...phaseOf(push.grid, began))
        })
        const stop = () => void (['running', 'paused'].includes(grids.get(id).status) && grids.stop(id))
        // A cluster's cells go on without this command; the same command follows them again.
        const left = new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => (own.cluster === undefined ? stop() : resolve()), {
            once: true,
          })
        })
        await Promise.race([grids.finished(id), left])
        const row = grids.get(id)
        const seconds = (Date.now() - began) / 1000
        const cells = row.cells.map(({ axes, seed, run, status, halving, reason, metrics }) => ({
          axes,
          seed,
          run,
          status,
          halving,
          reason,
          metrics,
        }))
        const { teacherPasses, cacheHits, secondsSaved, shareSaved, status, report, passJob } = row
        return {
          json: {
            id,
            status,
            cells,
            passJob,
            teacherPasses,
            cacheHits,
            secondsSaved,
            shareSaved,
            report,
            seconds,
          },
          text: describe(row, seconds),
          status: status === 'completed' ? undefined : 1,
        }
      })
    })
}

/** The cluster's job that makes the shared passes: its state, and why it is in it. */
function passesOf({ passJob }: GridRow): string[] {
  if (!passJob) return []
  const { cluster, job, state, reason } = passJob
  return [`teacher passes on ${cluster}${job ? `, job ${job}` : ''}: ${state}${reason ? ` (${reason})` : ''}`]
}

function phaseOf({ name, cells }: GridRow, began: number): [string, number, number | undefined] {
  const done = cells.filter(({ status }) => ['completed', 'failed', 'stopped'].includes(status)).length
  const work = cells.map(({ status, step, steps }) => (status === 'completed' ? 1 : steps ? step / steps : 0))
  const fraction = work.reduce((a, b) => a + b, 0) / cells.length
  const elapsed = (Date.now() - began) / 1000
  const left = fraction > 0.05 ? (elapsed * (1 - fraction)) / fraction : undefined
  return [`${name}  ${done}/${cells.length} cells`, fraction, left]
}

function describe(row: GridRow, seconds: number): string {
  const { name, cells, axes, teacherPasses, cacheHits, secondsSaved, shareSaved, status } = row
  const paths = Object.keys(axes)
  const table = formatTable(
    [...paths, 'seed', 'status', 'perplexity', 'bits/byte', 'KL to fused'],
    cells.map((cell) => [
      ...paths.map((path) => [cell.axes[path]].flat().map(String).join('+')),
      String(cell.seed),
      cell.halving === 'stopped' ? 'stopped by halving' : cell.status,
      ...['perplexity', 'bitsPerByte', 'klToFused'].map((key) => show(cell.metrics[key] ?? null)),
    ]),
  )
  const failures = cells.flatMap(({ run, reason, status }) =>
    status === 'failed' ? [`${run ?? ''}: ${reason ?? 'failed'}`] : [],
  )
  const totals = `${name}: ${status}; ${teacherPasses} teacher passes, ${cacheHits} taken from the cache, ${duration(secondsSaved)} saved (${show(shareSaved * 100)} %); ${duration(seconds)}`
  return [table, ...failures, '', ...passesOf(row), totals].join('\n')
}
