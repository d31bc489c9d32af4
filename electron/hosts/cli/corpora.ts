import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import {
  badInput,
  duplicatesText,
  importFormats,
  unreadableWarning,
  type Corpus,
  type CorpusDomain,
  type CorpusPreview,
} from '#contract'
import { show } from '../../services/report'
import { followTask } from './handOver'
import { controlOf, perform, type GlobalOptions, type Remote, type Session } from './session'

/** `retort import corpus`, and its preview. */
export function corpusCommand(imports: Command): void {
  imports
    .command('corpus')
    .argument(
      '<path>',
      'a file, a folder or a pattern in quotes: text, JSON lines or arrays, CSV, TSV, Parquet, Arrow; also as .gz, .zst, .zip',
    )
    .option('--name <name>')
    .addOption(
      new Option('--format <format>', 'default: found by what each file holds')
        .choices(importFormats)
        .default('auto'),
    )
    .option(
      '--field <field>',
      'of records, the field with the text, a path to it (data.text) or a template ({title}\\n\\n{body})',
      'text',
    )
    .addOption(
      new Option('--unreadable <what>', 'at a record that cannot be read: stop, or skip and count it')
        .choices(['stop', 'skip'])
        .default('stop'),
    )
    .addOption(
      new Option('--duplicates <what>', 'documents that were there before, letter by letter')
        .choices(['keep', 'drop'])
        .default('keep'),
    )
    .addOption(
      new Option('--near-duplicates <what>', 'documents that are nearly as an earlier one')
        .choices(['keep', 'drop'])
        .default('keep'),
    )
    .option(
      '--domain <field=value>',
      'import only the records whose field has this value, as a corpus of its own',
    )
    .option('--reference', 'the text stays where it is: plain text or JSON lines, not compressed')
    .option('--preview', 'show fields, first documents and tokens; import nothing')
    .action(async (path: string, given: ImportCorpusOptions, command: Command) => {
      const { preview, reference, domain, ...own } = given
      const options = { ...own, path: resolve(path), ...(domain && { domain: domainOf(domain) }) }
      const whole = { ...options, reference }
      const local = async (session: Session) => {
        const { library } = session.rooms
        if (preview) {
          const found = await library.previews.inspect(options, controlOf(session))
          return { json: found, text: previewText(found) }
        }
        const row = await library.importCorpus(whole, controlOf(session))
        return { json: row, text: importedText(row) }
      }
      const handedOver = async (remote: Remote) => {
        const { call } = remote.host
        const made = await followTask(remote, () => call('corpora.import', whole))
        const row = (await call('corpora.list', {})).find(({ id }) => id === made)!
        return { json: row, text: importedText(row) }
      }
      const global = command.optsWithGlobals<GlobalOptions>()
      if (preview) return perform(global, 'read', local)
      await perform(global, 'write', local, handedOver)
    })
}

function domainOf(text: string): CorpusDomain {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return { field: text.slice(0, at), value: text.slice(at + 1) }
  throw badInput(`"${text}" names no domain`, { field: '--domain', expected: 'FIELD=VALUE, as source=code' })
}

interface ImportCorpusOptions {
  name?: string
  format: (typeof importFormats)[number]
  field: string
  unreadable: 'stop' | 'skip'
  duplicates: 'keep' | 'drop'
  nearDuplicates: 'keep' | 'drop'
  domain?: string
  reference?: boolean
  preview?: boolean
}

/** What came in, and on the standard error what was left out. */
function importedText(row: Corpus): string {
  const { unreadable } = row
  const warning = unreadable && unreadableWarning(unreadable)
  if (warning) process.stderr.write(`warning: ${warning}\n`)
  const what = row.conversations ? 'conversations' : 'documents'
  return [
    `${row.name} (${row.id}): ${row.documents} ${what}, ${row.bytes} bytes, ${row.heldOutDocuments} ${what} held out`,
    ...(duplicatesText(row) ? [duplicatesText(row)] : []),
    ...(unreadable ? [`${unreadable.count} of ${unreadable.of} records left out:`, ...unreadable.first] : []),
  ].join('\n')
}

function previewText(found: CorpusPreview): string {
  const { looked, unreadable } = found
  return [
    `${found.files} files, ${found.bytes} bytes: ${found.formats.join(', ')}`,
    ...found.fields.map(({ name, kind, example }) => `  ${name}: ${kind}, ${JSON.stringify(example)}`),
    ...found.documents.map((text, i) => `--- document ${i + 1}\n${text}`),
    '---',
    `looked at ${looked.documents} documents of ${looked.bytes} bytes`,
    ...found.tokens.map(
      ({ tokenizer, tokens, lossless }) =>
        `  ${tokenizer}: ${tokens} tokens, ${show(looked.bytes / tokens)} bytes a token${lossless ? '' : ' (lossy)'}`,
    ),
    ...(unreadable.count
      ? [`${unreadable.count} of ${unreadable.of} records could not be read:`, ...unreadable.first]
      : []),
  ].join('\n')
}
