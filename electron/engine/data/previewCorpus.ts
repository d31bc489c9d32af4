import { statSync } from 'node:fs'
import { badInput, isRecord, taskFormats, type CorpusPreview, type Job } from '#contract'
import { plainText, type Document } from './conversation'
import { kindOf, listFiles } from './formats'
import { Reading } from './reading'
import { loadTokenizer } from './tokenizer'

/** Documents that are looked at, and characters of them; documents that are shown, and characters of each. */
const LOOKED = 200
const LOOKED_CHARACTERS = 1 << 20
const SHOWN = 5
const SHOWN_CHARACTERS = 600
/** Characters of a field's example. */
const EXAMPLE = 80
/** Records that are looked at for a document before it is said that there is none. */
const PATIENCE = 2000

/**
 * Looks into the beginning of what an import would read, and writes nothing. What cannot be read is counted, whatever
 * the import is to do about it, so that the preview of a wrong field shows the right one.
 */
export async function previewCorpus(job: Extract<Job, { kind: 'preview-corpus' }>): Promise<CorpusPreview> {
  const files = listFiles(job.path)
  if (taskFormats.some((name) => name === job.format))
    throw badInput('files of task examples have no preview', {
      field: 'format',
      expected: 'a format of text',
    })
  const fields = new Map<string, { kind: string; example: string }>()
  const note = (record: unknown) => {
    for (const [name, value] of isRecord(record) ? Object.entries(record) : []) {
      if (fields.has(name) && fields.get(name)!.kind !== 'null') continue
      fields.set(name, { kind: kindOf(value), example: exampleOf(value) })
    }
  }
  const reading = new Reading({ ...job, unreadable: 'skip' }, note)
  const documents: string[] = []
  let characters = 0
  const enough = () => documents.length >= LOOKED || characters >= LOOKED_CHARACTERS
  for (const file of files) {
    for await (const document of untilTired(reading, file)) {
      const text = plainText(document)
      documents.push(text)
      characters += text.length
      if (enough()) break
    }
    if (enough() || reading.unreadable.count >= PATIENCE) break
  }
  return {
    files: files.length,
    bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
    formats: reading.formatsRead(),
    fields: [...fields].map(([name, about]) => ({ name, ...about })),
    documents: documents.slice(0, SHOWN).map((text) => shortened(text, SHOWN_CHARACTERS)),
    looked: {
      documents: documents.length,
      bytes: documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    },
    unreadable: reading.unreadable,
    tokens: await countTokens(job, documents),
  }
}

/** Documents of a file, until too many of its records cannot be read. */
async function* untilTired(reading: Reading, file: string): AsyncGenerator<Document> {
  const tired = new Error('tired')
  const patient = () => {
    if (reading.unreadable.count >= PATIENCE) throw tired
  }
  try {
    for await (const text of reading.documents(file, patient)) {
      yield text
      patient()
    }
  } catch (error) {
    if (error !== tired) throw error
  }
}

async function countTokens(
  { dataDir, tokenizers }: Extract<Job, { kind: 'preview-corpus' }>,
  documents: readonly string[],
): Promise<CorpusPreview['tokens']> {
  const counted: CorpusPreview['tokens'] = []
  for (const row of tokenizers) {
    const tokenizer = await loadTokenizer(dataDir, row)
    const tokens = documents.reduce((sum, text) => sum + tokenizer.encode(text).length, 0)
    counted.push({ tokenizer: row.name, tokens, lossless: row.lossless })
  }
  return counted
}

const exampleOf = (value: unknown) =>
  shortened(
    typeof value !== 'object'
      ? String(value)
      : (JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)) ??
          ''),
    EXAMPLE,
  )

/** A text's beginning, not within a pair of surrogates. */
function shortened(text: string, length: number): string {
  if (text.length <= length) return text
  return `${text.slice(0, length).replace(/[\ud800-\udbff]$/, '')}…`
}
