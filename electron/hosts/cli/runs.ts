import { readFileSync, existsSync } from 'node:fs'
import type { Command } from 'commander'
import {
  badInput,
  checkMethodLeaves,
  type Backend,
  type ComparisonMethod,
  type Estimate,
  type ExperimentRow,
  type Run,
  type Teacher,
} from '#contract'
import { stringify } from 'yaml'
import { override, readYaml } from '../../services/experiments'
import { show } from '../../services/report'
import { backendOption } from './arguments'
import { followRun } from './handOver'
import { runOutcome, showStep } from './outcomes'
import { perform, type GlobalOptions, type Outcome, type Session } from './session'
import { duration, formatTable } from './terminal'

export function runCommands(program: Command): void {
  program
    .command('run')
    .description('one run of an experiment, or the rest of one')
    .argument('[experiment]', 'YAML file, or name of an experiment of the library')
    .option('--set <path=value>', 'override a setting; may be repeated', collect, [])
    .addOption(backendOption())
    .option('--force', 'start also when it needs more memory than can be had')
    .option(
      '--resume <run>',
      'go on from the last checkpoint of a stopped or failed run; starts one that was left queued',
    )
    .action(async (file: string | undefined, own: RunOptions, command: Command) => {
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) => {
          const { queue, experiments, runs } = session.rooms
          if (own.resume !== undefined) {
            const { id } = runs.row(resumed(own))
            return follow(session, () => queue.resume(id), false)
          }
          const [definition, source] = definitionOf(file, own, experiments.list())
          tellAsked(experiments.check({ definition }).estimate)
          return follow(session, () => experiments.start({ definition, force: own.force }, {}, source))
        },
        async (remote) => {
          const { call } = remote.host
          if (own.resume !== undefined) {
            const id = resumed(own)
            return followRun(remote, () => call('runs.resume', { id }))
          }
          const [definition, source] = definitionOf(file, own, await call('experiments.list', {}))
          tellAsked((await call('experiments.check', { definition })).estimate)
          return followRun(remote, () => call('experiments.start', { definition, source, force: own.force }))
        },
      )
    })

  program
    .command('train-teacher')
    .description('trains a teacher into the library')
    .argument('<spec>', 'YAML file')
    .option('--set <path=value>', 'override a setting; may be repeated', collect, [])
    .addOption(backendOption())
    .option('--force', 'start also when it needs more memory than can be had')
    .action(async (file: string, own: SettingOptions, command: Command) => {
      const text = () => withSettings(readDefinition(file), settingsOf(own), file)
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) => {
          const { experiments, context } = session.rooms
          const outcome = await follow(session, () => experiments.startTeacher(text(), file, own.force))
          return trained(outcome, context.catalogue.data.teachers)
        },
        async (remote) => {
          const { call } = remote.host
          const params = { definition: text(), source: file, force: own.force }
          const outcome = await followRun(remote, () => call('teachers.train', params))
          return trained(outcome, await call('teachers.list', {}))
        },
      )
    })

  program
    .command('compare')
    .description('metrics of runs beside each other, and the settings that differ')
    .argument('<run...>', 'names or ids')
    .option('--baseline <run>', 'differences are to this one; default the first')
    .action(async (ids: string[], own: { baseline?: string }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ services }) => {
        const result = await services.call('runs.compare', { ids, baseline: own.baseline })
        // A setting is a row, as in the app: its seeds are no settings of their own.
        const table = formatTable(
          ['setting', 'seeds', ...result.columns.map(({ title }) => title)],
          result.methods.map(({ label, runs, values }) => [
            label,
            String(runs.length),
            ...result.columns.map(({ key }) => meanText(values[key] ?? null)),
          ]),
        )
        const settings = result.configDiff.map(
          ({ path, values }) => `${path}: ${values.map((value) => JSON.stringify(value)).join(' | ')}`,
        )
        return { json: result, text: [table, '', 'Settings that differ:', ...settings].join('\n') }
      })
    })
}

/** A mean over seeds with half the width of its 95 % interval. */
function meanText(value: ComparisonMethod['values'][string]): string {
  if (!value) return show(null)
  const { mean, low, high } = value
  return low === null || high === null ? show(mean) : `${show(mean)} ± ${show((high - low) / 2)}`
}

interface SettingOptions {
  set: string[]
  backend?: Backend
  force?: boolean
}
interface RunOptions extends SettingOptions {
  resume?: string
}

/** `--backend` is the definition's setting of that name. */
function settingsOf({ set, backend }: SettingOptions): string[] {
  return backend ? [...set, `backend=${backend}`] : set
}

const collect = (value: string, before: string[]) => [...before, value]

export function readDefinition(file: string): string {
  if (!existsSync(file)) throw badInput('there is no such file', { file, expected: 'a YAML definition' })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch {
    throw badInput('the file is not UTF-8', { file, expected: 'a YAML definition' })
  }
}

/** @returns the definition of a file, or else of an experiment of the library, with what is set; and what was given */
function definitionOf(
  given: string | undefined,
  own: RunOptions,
  experiments: readonly ExperimentRow[],
): [string, string] {
  if (given === undefined)
    throw badInput('which experiment?', { expected: 'a YAML file, or --resume and a run' })
  const known = existsSync(given)
    ? undefined
    : experiments.find(({ id, name }) => id === given || name === given)
  return [withSettings(known?.definition ?? readDefinition(given), settingsOf(own), given), given]
}

/** @returns the run that is to be resumed */
function resumed({ resume, backend }: RunOptions): string {
  if (backend) throw badInput('a resumed run keeps its backend', { field: '--backend' })
  return resume!
}

function trained(outcome: Outcome, teachers: readonly Teacher[]): Outcome {
  const { id: run, metrics } = outcome.json as { id: string; metrics: unknown }
  const teacher = teachers.find((row) => row.run === run)
  return { ...outcome, json: { id: teacher?.id ?? run, run, metrics } }
}

function withSettings(text: string, settings: readonly string[], file: string): string {
  if (!settings.length) return text
  const definition = readYaml(text, file)
  for (const setting of settings) override(definition, setting)
  for (const setting of settings) checkMethodLeaves(definition, setting.split('=')[0]!)
  return stringify(definition)
}

/** Waits for a run with a progress line. A fresh run that its worker refuses leaves nothing behind. */
/** Before anything is asked of a server: how much that will be. */
function tellAsked({ askedTokens, askedSeconds, askedCost, askedBound }: Partial<Estimate> = {}): void {
  if (!askedTokens) return
  const time = askedSeconds === undefined ? '' : `, in about ${duration(askedSeconds)}`
  const cost = askedCost === undefined ? '' : `, for ${show(askedCost)}`
  const bound = askedBound === undefined ? '' : `\n${askedBound}`
  process.stderr.write(`servers are asked for at most about ${askedTokens} tokens${time}${cost}${bound}\n`)
}

async function follow(
  { rooms, services, progress, signal }: Session,
  start: () => Run,
  fresh = true,
): Promise<Outcome> {
  const { queue, runs } = rooms
  const run = start()
  services.onPush((_, push) => showStep(push, run, progress))
  const { id } = run
  signal.addEventListener('abort', () => queue.stop(id), { once: true })
  const ended = await queue.finished(id)
  const failure = queue.failure(id)
  if (failure?.code === 'bad-input' && fresh && !ended.step) runs.remove(id)
  if (ended.status === 'failed' && failure) throw failure
  return runOutcome(ended)
}
