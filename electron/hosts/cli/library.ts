import { extname, resolve } from 'node:path'
import { InvalidArgumentError, Option, type Command } from 'commander'
import {
  badInput,
  conflict,
  exportDtypes,
  exportFormats,
  int8Words,
  reportFormats,
  reportSections,
  type ExportDtype,
  type ExportFormat,
  type ReportOptions,
  type Calibration,
  type Int8Cost,
  type ReportSection,
  type Teacher,
} from '#contract'
import { writeFileAtomic } from '../../files'
import type { Rooms } from '../../services'
import { find } from '../../services/identity'
import { printPdf, type ReportFormat, show } from '../../services/report'
import { backendOption, nonNegative, positiveInteger } from './arguments'
import { corpusCommand } from './corpora'
import { checkStandalone, outputFile } from './gridExport'
import { followTask } from './handOver'
import { controlOf, perform, type GlobalOptions, type Outcome, type Remote } from './session'
import { teacherCommand } from './teachers'
import { tokenizerCommands } from './tokenizers'

export function libraryCommands(program: Command): void {
  const imports = program
    .command('import')
    .description('add a corpus, a tokenizer or a teacher to the library')
  corpusCommand(imports)
  teacherCommand(imports)
  tokenizerCommands(program, imports)
  modelCommands(program)
}

interface ExportOptions {
  format: ExportFormat
  dtype: ExportDtype
  hiddenStates?: boolean
  kvCache?: boolean
  out: string
}

function modelCommands(program: Command): void {
  program
    .command('calibrate')
    .description('fit the temperature of teachers on the calibration split of corpora')
    .argument('<teacher...>', 'names or ids')
    .requiredOption('--corpus <corpus...>', 'one, or an equal mixture of several')
    .addOption(backendOption())
    .action(async (teachers: string[], own: { corpus: string[] }, command: Command) => {
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) =>
          fitted(await session.rooms.models.calibrate(teachers, own.corpus, controlOf(session))),
        async (remote) => {
          const rows = await measuredThere(remote, 'teachers.calibrate', teachers, own.corpus)
          return fitted(
            rows.map(({ name, calibrations }) => ({ teacher: name, calibration: calibrations.at(-1)! })),
          )
        },
      )
    })

  program
    .command('measure-int8')
    .description('what it costs to multiply teachers in 8 bits, on the held-out text of corpora')
    .argument('<teacher...>', 'names or ids')
    .requiredOption('--corpus <corpus...>', 'one or several')
    .addOption(backendOption())
    .action(async (teachers: string[], own: { corpus: string[] }, command: Command) => {
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) =>
          costs(await session.rooms.models.measureInt8(teachers, own.corpus, controlOf(session))),
        async (remote) => {
          const rows = await measuredThere(remote, 'teachers.measureInt8', teachers, own.corpus)
          return costs(rows.map(({ name, int8 }) => ({ teacher: name, cost: int8! })))
        },
      )
    })

  program
    .command('generate')
    .description('a continuation; greedy unless a temperature is given')
    .argument('<model>', 'run or teacher')
    .requiredOption('--prompt <text>')
    .option('--tokens <n>', 'how many', positiveInteger, 100)
    .option('--temperature <t>', '0 is greedy', nonNegative, 0)
    .option('--top-p <p>', 'nucleus of the distribution', nonNegative, 1)
    .option('--seed <n>', 'of the draws', Number, 1)
    .addOption(backendOption())
    .action(async (model: string, own: GenerateOptions, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ services }) => {
        const { prompt, tokens, temperature, topP, seed } = own
        const result = await services.call('models.generate', {
          model,
          prompt,
          tokens,
          temperature,
          topP,
          seed,
        })
        const { text, tokensPerSecond } = result
        return { json: { text, tokensPerSecond, tokens: result.tokens }, text: prompt + text }
      })
    })

  program
    .command('export')
    .description('the student for other tools')
    .argument('<run>', 'run or teacher')
    .addOption(
      new Option('--format <format>', 'hf: for transformers; peft: adapters alone; gguf: for llama.cpp')
        .choices([...exportFormats])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--dtype <dtype>', 'of the weights; hf: f32 or bf16; gguf: f32, f16 or q8_0')
        .choices([...exportDtypes])
        .default('f32'),
    )
    .option('--hidden-states', 'of onnx: every layer’s as outputs too, to align features with')
    .option(
      '--kv-cache',
      'of onnx: keys and values of earlier tokens as inputs and outputs, as Optimum and transformers.js read them',
    )
    .requiredOption('--out <folder>')
    .action(async (model: string, own: ExportOptions, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ rooms }) => {
        const { format, dtype, hiddenStates = false, kvCache = false } = own
        const result = await rooms.models.export(model, {
          format,
          dtype,
          hiddenStates,
          kvCache,
          out: resolve(own.out),
        })
        for (const warning of result.warnings) process.stderr.write(`warning: ${warning}\n`)
        return { json: result, text: result.files.join('\n') }
      })
    })

  program
    .command('report')
    .description('a report of runs; a grid stands for its completed cells')
    .argument('<run...>', 'names or ids of runs and grids')
    .addOption(new Option('--format <format>').choices([...reportFormats]))
    .requiredOption('--out <file>', 'its ending says the format where --format does not')
    .option('--title <title>')
    .option(
      '--baseline <run>',
      'differences are to this one; default the first that was trained without teachers',
    )
    .option('--standalone', 'of LaTeX: a document that compiles by itself, not parts for a paper')
    .option('--sections <names>', `of ${reportSections.join(', ')}; default all`, sectionList)
    .action(
      async (
        ids: string[],
        own: { format?: ReportFormat; out: string; title?: string } & ReportOptions,
        command: Command,
      ) => {
        await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ rooms }) => {
          const file = outputFile(own.out)
          const format = own.format ?? formatOf(file)
          const chosen = ids.map((id) => completedOf(id, rooms))
          const title = own.title ?? chosen.map(({ name }) => name).join(' vs ')
          const runs = [...new Set(chosen.flatMap((one) => one.runs))]
          const { baseline, sections, standalone } = own
          checkStandalone(standalone, format === 'tex', '--format')
          const text = rooms.reports.write(runs, format === 'pdf' ? 'html' : format, title, {
            options: { baseline, sections, standalone },
          })
          const content = format === 'pdf' ? await printPdf(text) : Buffer.from(text)
          writeFileAtomic(file, content)
          const bytes = content.length
          return { json: { file, bytes }, text: `${file}: ${bytes} bytes` }
        })
      },
    )
}

function sectionList(text: string): ReportSection[] {
  return text.split(',').map((name) => {
    const known = reportSections.find((one) => one === name.trim())
    if (known) return known
    throw new InvalidArgumentError(`expected names of ${reportSections.join(', ')}, with commas between them`)
  })
}

/** The format that a file's ending says; HTML where it has none. */
function formatOf(file: string): ReportFormat {
  const ending = extname(file).slice(1).toLowerCase()
  const known = { '': 'html', htm: 'html', markdown: 'md', latex: 'tex' }[ending] ?? ending
  const format = reportFormats.find((one) => one === known)
  if (format) return format
  throw badInput(`no report format ends in ".${ending}"`, {
    field: '--out',
    expected: `${reportFormats.map((one) => `.${one}`).join(', ')}, or --format`,
  })
}

/** A run, or else a grid with the runs of its completed cells. */
function completedOf(id: string, { runs, grids }: Rooms): { name: string; runs: string[] } {
  const grid = grids.list().find((row) => row.id === id || row.name === id)
  if (!grid || runs.list().some((run) => run.id === id || run.name === id)) {
    const { name, id: run } = runs.row(id)
    return { name, runs: [run] }
  }
  const completed = grid.cells.flatMap(({ run, status }) => (status === 'completed' && run ? [run] : []))
  if (!completed.length) throw conflict(`grid "${grid.name}" has no completed cell yet`)
  return { name: grid.name, runs: completed }
}

interface GenerateOptions {
  prompt: string
  tokens: number
  temperature: number
  topP: number
  seed: number
}

function fitted(teachers: readonly { teacher: string; calibration: Calibration }[]): Outcome {
  const text = teachers.map(
    ({ teacher, calibration: { temperature, before, after, tokens } }) =>
      `${teacher}: temperature ${show(temperature)}, cross-entropy ${show(before)} to ${show(after)} nats per token over ${tokens} tokens`,
  )
  return { json: teachers, text: text.join('\n') }
}

function costs(teachers: readonly { teacher: string; cost: Int8Cost }[]): Outcome {
  const text = teachers.map(
    ({ teacher, cost }) => `${teacher}: ${int8Words(cost)} over ${cost.tokens} tokens`,
  )
  return { json: teachers, text: text.join('\n') }
}

/** Has the app that is open measure teachers on corpora, each by its name or id; the teachers as they are then. */
async function measuredThere(
  remote: Remote,
  method: 'teachers.calibrate' | 'teachers.measureInt8',
  teachers: readonly string[],
  corpora: readonly string[],
): Promise<Teacher[]> {
  const { call } = remote.host
  const [rows, texts] = [await call('teachers.list', {}), await call('corpora.list', {})]
  const ids = teachers.map((teacher) => find('teacher', rows, teacher).id)
  const read = corpora.map((corpus) => find('corpus', texts, corpus).id)
  await followTask(remote, () => call(method, { ids, corpora: read }))
  const measured = await call('teachers.list', {})
  return ids.map((id) => find('teacher', measured, id))
}
