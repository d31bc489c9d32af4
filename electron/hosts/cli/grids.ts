import { Option, type Command } from 'commander'
import { badInput, gridExportFormats, gridFigures, type Backend } from '#contract'
import { costs, foretell } from './gridCost'
import { exportGrid, type ExportOptions } from './gridExport'
import { backendOption, countOrAuto } from './arguments'
import { readDefinition } from './runs'
import { followGrid } from './handOver'
import { gridLine, gridOutcome } from './outcomes'
import { perform, type GlobalOptions, type Outcome, type Session } from './session'

interface GridOptions extends Omit<ExportOptions, 'format'> {
  backend?: Backend
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
    .option('--standalone', 'of latex: a document that compiles by itself, not parts for a paper')
    .option('--force', 'start also when a cell needs more memory than can be had')
    .option('--dry-run', 'only says what it will cost: passes, time, memory, disk')
    .action(async (file: string, own: GridOptions, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      if (own.export !== undefined) return exportGrid(file, { ...own, format: own.export }, options)
      if (own.dryRun) return perform(options, 'read', async ({ rooms }) => foretell(rooms, file, own.jobs))
      const { cluster, force } = own
      await perform(
        options,
        'write',
        (session) => followLocally(session, readDefinition(file), file, own),
        (remote) => {
          const given =
            own.jobs !== undefined ? '--jobs' : own.backend !== undefined ? '--backend' : undefined
          if (given)
            throw badInput('the app that is open computes with its own settings', {
              field: given,
              expected: 'nothing, or the app closed',
            })
          const definition = readDefinition(file)
          return followGrid(remote, () =>
            remote.host.call('grids.start', { definition, source: file, cluster, force }),
          )
        },
      )
    })
}

async function followLocally(
  { rooms, services, progress, signal }: Session,
  definition: string,
  file: string,
  { jobs, cluster, force }: GridOptions,
): Promise<Outcome> {
  const { grids, context } = rooms
  const began = Date.now()
  if (jobs === 'auto' && cluster !== undefined)
    process.stderr.write('--jobs auto is not measured: the cluster decides how many cells run at once\n')
  else if (jobs === 'auto') {
    const { jobs: chosen, why } = await grids.chooseJobs({ definition }, file, { signal })
    process.stderr.write(`${chosen} side by side (${why})\n`)
    context.jobs = chosen
  } else if (jobs !== undefined) context.jobs = jobs
  const foretold = cluster === undefined && `${costs(grids.estimate({ definition }, file))}\n`
  const { id } = grids.start({ definition, cluster, force }, file)
  if (foretold) process.stderr.write(foretold)
  const tell = gridLine(id, progress, began)
  services.onPush((_, push) => tell(push))
  const stop = () => void (['running', 'paused'].includes(grids.get(id).status) && grids.stop(id))
  // A cluster's cells go on without this command; the same command follows them again.
  const left = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => (cluster === undefined ? stop() : resolve()), { once: true })
  })
  await Promise.race([grids.finished(id), left])
  return gridOutcome(grids.get(id), began)
}
