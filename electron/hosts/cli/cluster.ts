import { type Command } from 'commander'
import { CELL_STOPPED } from '#contract'
import { type CellOptions, ClusterProfiles, computeCell } from '../../services/clusters'
import { nodeWorkerLauncher } from '../nodeWorker'
import { readDefinition } from './runs'
import { dataDirOf, report, type GlobalOptions } from './session'
import { formatTable } from './terminal'

export function clusterCommands(program: Command): void {
  program
    .command('cell')
    .description(
      "computes one run from its folder, or the rest of it: what a cluster's task does; takes no lock",
    )
    .argument('<run>', 'id')
    .option('--threads <n>', 'of the worker; 0 is one a core', Number, 0)
    .option('--submission <id>', 'whose task it is')
    .option('--prepare', "only makes the passes of its teachers that are not in the data directory's cache")
    .action(async (id: string, { threads, ...own }: CellOptions & { threads: number }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      const abort = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR1'] as const) process.on(signal, () => abort.abort())
      await report(options, async () => {
        const context = {
          dataDir: dataDirOf(options),
          threads: () => threads,
          spawnWorker: nodeWorkerLauncher(),
        }
        const { status, step, until = Infinity } = await computeCell(context, id, abort.signal, own)
        return {
          json: { id, status, step },
          text: `${id}: ${own.prepare ? 'teacher passes ' : ''}${status} at step ${step}`,
          status: status === 'stopped' && step < until ? CELL_STOPPED : undefined,
        }
      })
    })

  const cluster = program.command('cluster').description('Slurm clusters that compute grids')
  const profiles = (command: Command) =>
    new ClusterProfiles(dataDirOf(command.optsWithGlobals<GlobalOptions>()))
  cluster
    .command('add')
    .description('adds a profile, or replaces the one of its name')
    .argument('<profile>', 'YAML file')
    .action(async (file: string, _: object, command: Command) => {
      await report(command.optsWithGlobals<GlobalOptions>(), async () => {
        const profile = profiles(command).save(readDefinition(file), file)
        return { json: profile, text: `cluster "${profile.name}" added; \`retort cluster test\` tries it` }
      })
    })
  cluster
    .command('list')
    .description('the profiles of this data directory')
    .action(async (_: object, command: Command) => {
      await report(command.optsWithGlobals<GlobalOptions>(), async () => {
        const rows = profiles(command).list()
        const table = formatTable(
          ['cluster', 'login host', 'partition', 'cpus', 'memory', 'time', 'data directory'],
          rows.map(({ name, host, partition, cpus, memory, time, dataDir }) => [
            name,
            host ?? 'here',
            partition ?? 'default',
            String(cpus),
            memory ?? 'default',
            time ?? 'default',
            dataDir,
          ]),
        )
        return {
          json: rows,
          text: rows.length ? table : 'no clusters yet: `retort cluster add profile.yaml`',
        }
      })
    })
  cluster
    .command('remove')
    .description('removes a profile; what it has submitted goes on and is collected')
    .argument('<name>')
    .action(async (name: string, _: object, command: Command) => {
      await report(command.optsWithGlobals<GlobalOptions>(), async () => {
        profiles(command).remove(name)
        return { json: { name }, text: `cluster "${name}" removed` }
      })
    })
  cluster
    .command('test')
    .description('asks the login host for everything that a grid will need')
    .argument('<name>')
    .action(async (name: string, _: object, command: Command) => {
      await report(command.optsWithGlobals<GlobalOptions>(), async () => {
        const { ok, checks } = await profiles(command).test(name)
        const lines = checks.map((check) => `${check.ok ? '✓' : '✗'} ${check.what}: ${check.answer}`)
        return { json: { ok, checks }, text: lines.join('\n'), status: ok ? undefined : 1 }
      })
    })
}
