import { Command, CommanderError } from 'commander'
import { VERSION } from '#contract'
import { cacheCommands } from './cache'
import { clusterCommands } from './cluster'
import { demoCommand } from './demo'
import { disagreementCommand } from './disagreement'
import { gridCommands } from './grids'
import { doctorCommand } from './doctor'
import { evaluateCommand } from './evaluate'
import { libraryCommands } from './library'
import { machineCommands } from './machine'
import { runCommands } from './runs'
import { serveCommand } from './serve'
import { studyCommands } from './study'

const program = new Command('retort')
  .description('distils several language models into one small one')
  .version(VERSION)
  .option(
    '--data-dir <folder>',
    "where experiments, runs and the library live; default: the platform's application data",
  )
  .option('--json', 'the last line of standard output is one JSON object')
  .exitOverride()
  .showSuggestionAfterError()

demoCommand(program)
runCommands(program)
gridCommands(program)
libraryCommands(program)
evaluateCommand(program)
disagreementCommand(program)
studyCommands(program)
cacheCommands(program)
clusterCommands(program)
serveCommand(program)
machineCommands(program)
doctorCommand(program)

/** Global options may stand before or after the command. */
for (const command of program.commands.flatMap((c) => [c, ...c.commands])) {
  command.option('--data-dir <folder>').option('--json').exitOverride()
}

try {
  await program.parseAsync()
} catch (error) {
  // Commander has printed its one line; wrong usage is bad input.
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : 2
}
process.exit()
