import { resolve } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { isHubName, tokenizerVocab, type Task, type Tokenizer } from '#contract'
import { followTask } from './handOver'
import { controlOf, perform, type GlobalOptions, type Outcome, type Remote } from './session'

export function tokenizerCommands(program: Command, imports: Command): void {
  imports
    .command('tokenizer')
    .argument(
      '<path>',
      'a tokenizer.json, a folder with one, hf:ORG/NAME[@REVISION] of the Hub, or llama2.c’s',
    )
    .option('--name <name>')
    .action(async (path: string, { name }: { name?: string }, command: Command) => {
      const options = { name, path: isHubName(path) ? path : resolve(path) }
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) =>
          described(await session.rooms.library.importTokenizer(options, controlOf(session))),
        async (remote) => described(await made(remote, () => remote.host.call('tokenizers.import', options))),
      )
    })
  program
    .command('train-tokenizer')
    .description('a byte-level BPE of the training splits of corpora')
    .requiredOption('--corpus <corpus...>', 'names or ids')
    .requiredOption('--vocab <n>', 'pieces: the 256 bytes, what stands before documents, and merges', vocab)
    .option('--name <name>', 'default: of the corpora and the number')
    .action(async (own: { corpus: string[]; vocab: number; name?: string }, command: Command) => {
      const name = own.name ?? `${own.corpus.join('-')}-${own.vocab}`
      const params = { name, corpora: own.corpus, vocab: own.vocab }
      const trained = (row: Tokenizer) => {
        if (row.vocab < own.vocab)
          process.stderr.write(`warning: the text has no more pairs to merge than for ${row.vocab} pieces\n`)
        return described(row)
      }
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        'write',
        async (session) => trained(await session.rooms.library.trainTokenizer(params, controlOf(session))),
        async (remote) => trained(await made(remote, () => remote.host.call('tokenizers.train', params))),
      )
    })
}

async function made(remote: Remote, start: () => Promise<Task>): Promise<Tokenizer> {
  const made = await followTask(remote, start)
  return (await remote.host.call('tokenizers.list', {})).find(({ id }) => id === made)!
}

function vocab(text: string): number {
  const parsed = tokenizerVocab.safeParse(Number(text))
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('expected a whole number from 257 to 262144')
}

function described(row: Tokenizer): Outcome {
  const lossy = row.lossless ? '' : '; it is lossy: text does not survive a round trip'
  return { json: row, text: `${row.name} (${row.id}): ${row.vocab} pieces${lossy}` }
}
