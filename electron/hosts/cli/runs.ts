import { readFileSync, existsSync } from 'node:fs'
import type { Command } from 'commander'
import { badInput, failed, type Backend, type Run } from '#contract'
import { stringify } from 'yaml'
import { override, readYaml } from '../../services/experiments'
import { show } from '../../services/report'
import { backendOption } from './arguments'
import { perform, type GlobalOptions, type Outcome, type Session } from './session'
import { formatTable } from './terminal'

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
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const { queue, experiments, runs } = session.rooms
        if (own.resume !== undefined) {
          if (own.backend) throw badInput('a resumed run keeps its backend', { field: '--backend' })
          const { id } = runs.row(own.resume)
          return follow(session, () => queue.resume(id), false)
        }
        if (file === undefined)
          throw badInput('which experiment?', { expected: 'a YAML file, or --resume and a run' })
        const text = definitionText(file, session)
        return follow(session, () =>
          experiments.start(
            { definition: withSettings(text, settingsOf(own), file), force: own.force },
            {},
            file,
          ),
        )
      })
    })

  program
    .command('train-teacher')
    .description('trains a teacher into the library')
    .argument('<spec>', 'YAML file')
    .option('--set <path=value>', 'override a setting; may be repeated', collect, [])
    .addOption(backendOption())
    .option('--force', 'start also when it needs more memory than can be had')
    .action(async (file: string, own: SettingOptions, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const text = withSettings(readDefinition(file), settingsOf(own), file)
        const { experiments, context } = session.rooms
        const outcome = await follow(session, () => experiments.startTeacher(text, file, own.force))
        const { id: run, metrics } = outcome.json as { id: string; metrics: unknown }
        const teacher = context.catalogue.data.teachers.find((row) => row.run === run)
        return { ...outcome, json: { id: teacher?.id ?? run, run, metrics } }
      })
    })

  program
    .command('compare')
    .description('metrics of runs beside each other, and the settings that differ')
    .argument('<run...>', 'names or ids')
    .option('--baseline <run>', 'differences are to this one; default the first')
    .action(async (ids: string[], own: { baseline?: string }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ services }) => {
        const result = await services.call('runs.compare', { ids, baseline: own.baseline })
        const table = formatTable(
          ['run', ...result.columns.map(({ title }) => title)],
          result.rows.map(({ name, values }) => [
            name,
            ...result.columns.map(({ key }) => show(values[key] ?? null)),
          ]),
        )
        const settings = result.configDiff.map(
          ({ path, values }) => `${path}: ${values.map((value) => JSON.stringify(value)).join(' | ')}`,
        )
        return { json: result, text: [table, '', 'Settings that differ:', ...settings].join('\n') }
      })
    })
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

/** A file, or else an experiment of the library. */
function definitionText(fileOrName: string, { rooms }: Session): string {
  if (existsSync(fileOrName)) return readDefinition(fileOrName)
  const known = rooms.experiments.list().find(({ id, name }) => id === fileOrName || name === fileOrName)
  return known ? known.definition : readDefinition(fileOrName)
}

function withSettings(text: string, settings: readonly string[], file: string): string {
  if (!settings.length) return text
  const definition = readYaml(text, file)
  for (const setting of settings) override(definition, setting)
  return stringify(definition)
}

/** Waits for a run with a progress line. A fresh run that its worker refuses leaves nothing behind. */
async function follow(
  { rooms, services, progress, signal }: Session,
  start: () => Run,
  fresh = true,
): Promise<Outcome> {
  const { queue, runs } = rooms
  const run = start()
  services.onPush((_, push) => {
    if (push.topic !== 'steps' || push.id !== run.id) return
    const { step, loss, tokensPerSecond, seconds } = push.records.at(-1)!
    const left = ((run.steps - step) * seconds) / step
    const phase = `${run.name}  step ${step}/${run.steps}  loss ${show(loss)}  ${show(Math.round(tokensPerSecond))} tokens/s`
    progress.show(phase, step / run.steps, left)
  })
  const { id } = run
  signal.addEventListener('abort', () => queue.stop(id), { once: true })
  const ended = await queue.finished(id)
  const failure = queue.failure(id)
  if (failure?.code === 'bad-input' && fresh && !ended.step) runs.remove(id)
  if (ended.status === 'failed') throw failure ?? failed(ended.reason ?? 'the run failed')
  const { evaluation, status, step, name } = ended
  const {
    perplexity = null,
    bitsPerByte = null,
    crossEntropy = null,
    klToFused,
    agreement,
    distillationLoss,
  } = evaluation ?? {}
  const metrics = {
    perplexity,
    bitsPerByte,
    crossEntropy,
    klToFused,
    distillationLoss,
    agreement,
    corpora: evaluation?.corpora,
  }
  const lines = [
    `${name} (${id}): ${status} at step ${step}`,
    `held-out perplexity ${show(perplexity)}, ${show(bitsPerByte)} bits per byte${klToFused == null ? '' : `, KL to the fused target ${show(klToFused)}`}`,
  ]
  return {
    json: { id, name, status, step, metrics },
    text: lines.join('\n'),
    status: status === 'completed' ? undefined : 1,
  }
}
