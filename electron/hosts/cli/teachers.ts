import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import {
  badInput,
  isHubName,
  isServedUrl,
  parse,
  servedImport,
  teacherFormats,
  type ServedImport,
  type Teacher,
  type Tokenizer,
} from '#contract'
import { nonNegative, positiveInteger } from './arguments'
import { followTask } from './handOver'
import { controlOf, perform, type GlobalOptions, type Outcome } from './session'

/** `import teacher`: of a file, a folder, the Hub or a server. */
export function teacherCommand(imports: Command): void {
  imports
    .command('teacher')
    .argument(
      '<path>',
      'a llama2.c checkpoint, a Hugging Face model folder, hf:ORG/NAME[@REVISION] of the Hub, an ONNX language model, or the address of a server (http://HOST:PORT/v1)',
    )
    .option('--name <name>')
    .option('--tokenizer <tokenizer>', 'when it is not beside it: a file, hf:ORG/NAME, or one of the library')
    .addOption(new Option('--format <format>').choices(teacherFormats).default('auto'))
    .option('--reference', 'of a Hugging Face folder or hf: leave the weights where they are')
    .option('--model <name>', 'of a server: its name there')
    .option('--key-env <variable>', "of a server: the environment's variable with its key")
    .option('--key-file <file>', 'of a server: the file of mode 600 with its key')
    .option('--top-k <n>', 'of a server: alternatives a token; default: the most it gives', positiveInteger)
    .option('--concurrency <n>', 'of a server: requests at a time (default: 4)', positiveInteger)
    .option('--per-minute <n>', 'of a server: requests a minute, at most', positiveInteger)
    .option(
      '--tokens <n>',
      'of a server: tokens that a run may ask; then it stops, resumable',
      positiveInteger,
    )
    .option('--price <money>', 'of a server: of a million tokens', nonNegative)
    .option('--cost <money>', 'of a server: what a run may cost; then it stops, resumable', nonNegative)
    .option('--timeout <seconds>', 'of a server: for an answer (default: 120)', positiveInteger)
    .action(async (path: string, own: ImportTeacherOptions, command: Command) => {
      const options = () => ({
        name: own.name,
        format: own.format,
        reference: own.reference,
        path: isHubName(path) || isServedUrl(path) ? path : resolve(path),
        tokenizerPath: own.tokenizer && pathOrName(own.tokenizer),
        ...servedOption(path, own),
      })
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) => {
          const { library } = session.rooms
          return imported(await library.importTeacher(options(), controlOf(session)), library.tokenizers)
        },
        async (remote) => {
          const { call } = remote.host
          const made = await followTask(remote, () => call('teachers.import', options()))
          const row = (await call('teachers.list', {})).find(({ id }) => id === made)!
          return imported(row, await call('tokenizers.list', {}))
        },
      )
    })
}

function imported(row: Teacher, tokenizers: readonly Tokenizer[]): Outcome {
  const tokenizer = tokenizers.find(({ id }) => id === row.tokenizer)!
  const lossy = tokenizer.lossless ? '' : '; its tokenizer is lossy: text does not survive a round trip'
  const { warning } = row.check!
  if (warning) process.stderr.write(`warning: ${warning}\n`)
  return { json: row, text: `${row.name} (${row.id}): ${checkText(row)}${lossy}` }
}

/** What the model said when it was imported. */
function checkText({ check, model, parameters }: Teacher): string {
  const { perplexity, sample, served } = check!
  const english = `perplexity ${perplexity.toFixed(1)} of plain English`
  if (model.family !== 'served' || !served)
    return `${parameters} parameters; ${english}; it writes: ${JSON.stringify(sample)}`
  const reads = model.context ? `at most ${model.context} tokens` : 'as many tokens as it will'
  const asked = model.ids ? 'token ids' : 'text'
  return `behind ${model.url} (${model.dialect}, takes ${asked}, reads ${reads}): ${served.k} alternatives a token, which have ${(100 * served.covered).toFixed(1)} % of the probability; ${english}`
}

/** @throws bad-input when settings of a server are given without one, or a key twice */
function servedOption(path: string, own: ImportTeacherOptions): { served?: ServedImport } {
  const { model, keyEnv, keyFile, topK, concurrency, perMinute, tokens, price, cost, timeout } = own
  const limits = { concurrency, perMinute, tokens, price, cost, timeout }
  const given = [model, keyEnv, keyFile, topK, ...Object.values(limits)].some((one) => one !== undefined)
  if (!isServedUrl(path)) {
    if (!given) return {}
    throw badInput('these settings are of a server', { file: path, expected: 'http://HOST:PORT/v1' })
  }
  if (keyEnv && keyFile)
    throw badInput('a key is in one place', { field: '--key-file', expected: 'or --key-env' })
  const key = keyEnv ? { env: keyEnv } : keyFile ? { file: resolve(keyFile) } : undefined
  if (model === undefined)
    throw badInput('a server may have several models', {
      field: '--model',
      expected: 'the name of one of them',
    })
  return { served: parse(servedImport, { model, key, topK, limits }) }
}

interface ImportTeacherOptions {
  name?: string
  tokenizer?: string
  model?: string
  keyEnv?: string
  keyFile?: string
  topK?: number
  concurrency?: number
  perMinute?: number
  tokens?: number
  price?: number
  cost?: number
  timeout?: number
  format: (typeof teacherFormats)[number]
  reference?: boolean
}

/** A path whole, for workers of another folder; a name as it is. */
const pathOrName = (given: string) => (existsSync(given) ? resolve(given) : given)
