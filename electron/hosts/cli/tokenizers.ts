import { resolve } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { isHubName, tokenizerVocab, type Tokenizer } from '#contract'
import { controlOf, perform, type GlobalOptions } from './session'

export function tokenizerCommands(program: Command, imports: Command): void {
  imports
    .command('tokenizer')
    .argument(
      '<path>',
      'a tokenizer.json, a folder with one, hf:ORG/NAME[@REVISION] of the Hub, or llama2.c’s',
    )
    .option('--name <name>')
    .action(async (path: string, { name }: { name?: string }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const options = { name, path: isHubName(path) ? path : resolve(path) }
        const row = await session.rooms.library.importTokenizer(options, controlOf(session))
        return { json: row, text: described(row) }
      })
    })
  program
    .command('train-tokenizer')
    .description('a byte-level BPE of the training splits of corpora')
    .requiredOption('--corpus <corpus...>', 'names or ids')
    .requiredOption('--vocab <n>', 'pieces: the 256 bytes, what stands before documents, and merges', vocab)
    .option('--name <name>', 'default: of the corpora and the number')
    .action(async (own: { corpus: string[]; vocab: number; name?: string }, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async (session) => {
        const name = own.name ?? `${own.corpus.join('-')}-${own.vocab}`
        const params = { name, corpora: own.corpus, vocab: own.vocab }
        const row = await session.rooms.library.trainTokenizer(params, controlOf(session))
        if (row.vocab < own.vocab)
          process.stderr.write(`warning: the text has no more pairs to merge than for ${row.vocab} pieces\n`)
        return { json: row, text: described(row) }
      })
    })
}

function vocab(text: string): number {
  const parsed = tokenizerVocab.safeParse(Number(text))
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('expected a whole number from 257 to 262144')
}

const described = ({ name, id, vocab: pieces, lossless }: Tokenizer) =>
  `${name} (${id}): ${pieces} pieces${lossless ? '' : '; it is lossy: text does not survive a round trip'}`
