import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parseStudy } from '../../services/study'
import { readDefinition } from './runs'
import { nonNegative } from './arguments'
import { controlOf, perform, type GlobalOptions } from './session'
import { duration } from './terminal'

export function studyCommands(program: Command): void {
  program
    .command('study')
    .description('runs methods over seeds and answers questions about them with intervals, in a report')
    .argument('<study>', 'YAML file, as resources/studies/questions.yaml')
    .option('--source <folder>', "where its relative paths start; default: the file's folder")
    .option('--force', 'start also when a run needs more memory than can be had')
    .action(async (file: string, own: { source?: string; force?: boolean }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const source = own.source === undefined ? undefined : resolve(own.source)
        const definition = parseStudy(readDefinition(file), resolve(file), source)
        const { study, reports } = session.rooms
        const { runs, report, answers, seconds } = await study.run(definition, controlOf(session), own.force)
        const path = reports.path(report)
        const json = {
          report: path,
          answers,
          runs: runs.map(({ id, name, seed, evaluation }) => ({
            id,
            name,
            seed,
            perplexity: evaluation?.perplexity ?? null,
          })),
          seconds,
        }
        const text = [
          ...answers.map((answer) => answer.text),
          '',
          `Report: ${path}`,
          `Done in ${duration(seconds)}.`,
        ]
        return { json, text: text.join('\n') }
      })
    })

  program
    .command('derive-teacher')
    .description('a teacher whose logits are those of another, scaled: above 1 more confident, below 1 less')
    .argument('<teacher>', 'name or id')
    .requiredOption('--name <name>', 'of the new teacher')
    .requiredOption('--logit-scale <factor>', 'what its logits are multiplied by', nonNegative)
    .action(async (from: string, own: { name: string; logitScale: number }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const row = await session.rooms.library.deriveTeacher({ from, ...own }, controlOf(session))
        return { json: row, text: `${row.name} (${row.id}): the logits of ${from} times ${own.logitScale}` }
      })
    })
}
