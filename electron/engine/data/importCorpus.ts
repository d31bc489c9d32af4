import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { badInput, taskFormats, type Corpus, type Job, type TaskFormat } from '#contract'
import { renderExample } from '../evaluate/tasks/example'
import { readTask } from '../evaluate/tasks/readers'
import type { Progress } from '../progress'
import { writeCorpus } from './writeCorpus'

type ImportCorpusJob = Extract<Job, { kind: 'import-corpus' }>
const FORMATS = ['text', 'jsonl', 'c4'] as const
type Format = (typeof FORMATS)[number]

/** Blocks of a plain text are joined into documents of about this many characters. */
const DOCUMENT = 2000
/** A block of so many characters without a blank line is cut. */
const LONGEST_BLOCK = 10 * DOCUMENT
/** Characters of a line of JSON: half of what one text can hold. */
const LONGEST_LINE = 2 ** 28

/**
 * Brings text into the library: a file or a folder of plain text (.txt, .md), JSON lines with a chosen field, or
 * shards of C4 (.json.gz). Files are read as streams, sorted by name. A file of task examples becomes a document an
 * example, its prompt with the answer.
 *
 * @throws bad-input naming the file and the place: not UTF-8, malformed JSON, a missing field, no text at all
 */
export async function importCorpus(job: ImportCorpusJob, progress: Progress): Promise<Corpus> {
  if (!existsSync(job.path)) throw badInput('there is no such file or folder', { file: job.path })
  const task = taskFormats.find((name) => name === job.format)
  if (task) return importTask(job, task)
  const files = listFiles(job.path, job.format)
  const total = files.reduce((sum, file) => sum + statSync(file).size, 0)
  let read = 0
  const onBytes = (count: number) =>
    progress('reading the text', Math.min(1, (read += count) / Math.max(1, total)))
  const format = FORMATS.find((name) => name === job.format) ?? formatOf(files[0]!)

  async function* documents(): AsyncGenerator<string> {
    for (const file of files) {
      if (format === 'text') yield* textDocuments(file, onBytes)
      else yield* jsonDocuments(file, format === 'c4' ? 'text' : job.field, onBytes)
    }
  }
  const about = { id: job.id, name: job.name, format, source: job.path }
  return writeCorpus(job.dataDir, about, format === 'text' ? several(documents()) : documents())
}

function importTask({ dataDir, id, name, path }: ImportCorpusJob, format: TaskFormat): Promise<Corpus> {
  return writeCorpus(dataDir, { id, name, format, source: path }, readTask(format, path).map(renderExample))
}

const EXTENSIONS: Record<string, Format> = {
  '.txt': 'text',
  '.md': 'text',
  '.text': 'text',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'c4',
}

function formatOf(file: string): Format {
  const name = file.endsWith('.gz') ? file.slice(0, -3) : file
  const format = EXTENSIONS[extname(name).toLowerCase()]
  if (format) return format
  throw badInput(`the format of ${basename(file)} is not known`, {
    file,
    expected: `one of ${Object.keys(EXTENSIONS).join(', ')}, or an explicit format`,
  })
}

function listFiles(path: string, format: ImportCorpusJob['format']): string[] {
  if (statSync(path).isFile()) return [path]
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  const known = found.filter((file) => extname(file.replace(/\.gz$/, '')) in EXTENSIONS)
  const files =
    format === 'auto' && known[0] ? known.filter((file) => formatOf(file) === formatOf(known[0]!)) : known
  if (!files.length)
    throw badInput('the folder holds no text', { file: path, expected: Object.keys(EXTENSIONS).join(', ') })
  return files
}

/** A file as decoded text, piece by piece; strict UTF-8. */
async function* readText(file: string, onBytes: (count: number) => void): AsyncGenerator<string> {
  const raw = createReadStream(file, { highWaterMark: 1 << 18 })
  raw.on('data', (chunk) => onBytes(chunk.length))
  const stream = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw
  if (stream !== raw) raw.on('error', (error) => stream.destroy(error))
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let offset = 0
  const decode = (chunk?: Buffer) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw badInput(`the text is not UTF-8 within the ${chunk?.length ?? 4} bytes after byte ${offset}`, {
        file,
        expected: 'UTF-8 text',
      })
    }
  }
  try {
    for await (const chunk of stream) {
      yield decode(chunk as Buffer)
      offset += (chunk as Buffer).length
    }
  } catch (error) {
    const { code } = error as { code?: string }
    if (code?.startsWith('Z_') || code === 'ERR_STREAM_PREMATURE_CLOSE') {
      throw badInput(`the compressed data is damaged or cut off (${(error as Error).message})`, {
        file,
        expected: 'a whole .gz file',
      })
    }
    throw error
  }
  yield decode()
}

/**
 * Lines with their ends, which the last one and one that was cut have not.
 *
 * @param longest a line with more characters is cut at a blank; default: such a line is refused
 * @throws bad-input for a line that is longer than one text can be
 */
async function* readLines(
  file: string,
  onBytes: (count: number) => void,
  longest?: number,
): AsyncGenerator<string> {
  // Each piece is looked through once: a line may be as long as the file.
  let parts: string[] = []
  let length = 0
  let number = 1
  const take = (end = '') => {
    const line = parts.join('') + end
    parts = []
    length = 0
    number++
    return line
  }
  for await (const piece of readText(file, onBytes)) {
    let from = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
      yield take(piece.slice(from, end + 1))
      from = end + 1
    }
    parts.push(piece.slice(from))
    length += piece.length - from
    if (longest !== undefined && length > longest) {
      const whole = take()
      const cuts = cutAtBlanks(whole, longest)
      parts = [cuts.pop()!]
      length = parts[0]!.length
      yield* cuts
    }
    if (length > LONGEST_LINE)
      throw badInput(`the line has more than ${LONGEST_LINE} characters`, { file: `${file}:${number}` })
  }
  if (length) yield take()
}

/** Pieces of at most so many characters, cut after a blank where there is one; the last may be short. */
function cutAtBlanks(text: string, longest: number): string[] {
  const pieces: string[] = []
  let from = 0
  while (text.length - from > longest) {
    const blank = text.lastIndexOf(' ', from + longest - 1)
    const end = blank > from ? blank + 1 : from + longest
    pieces.push(text.slice(from, end))
    from = end
  }
  return [...pieces, text.slice(from)]
}

/** A text that is a single document is cut at the ends of its lines, so that there is something to hold out. */
async function* several(documents: AsyncGenerator<string>): AsyncGenerator<string> {
  let only: string | undefined
  let count = 0
  for await (const text of documents) {
    if (++count === 2) yield only!
    if (count === 1) only = text
    else yield text
  }
  if (count !== 1) return
  const size = Math.min(DOCUMENT, Math.ceil(only!.length / 2))
  let piece = ''
  for (const line of only!.split(/(?<=\n)/)) {
    piece += line
    if (piece.length < size) continue
    yield piece
    piece = ''
  }
  if (piece.trim()) yield piece
}

/**
 * Plain text is cut at blank lines; blocks are gathered into documents, so that there is something to hold out. A block
 * that goes on and on, as a book without blank lines or text8 does, is cut at the ends of its lines, or at blanks.
 */
async function* textDocuments(file: string, onBytes: (count: number) => void): AsyncGenerator<string> {
  let document: string[] = []
  let length = 0
  const take = () => {
    const text = document.join('').trim()
    document = []
    length = 0
    return text
  }
  for await (const raw of readLines(file, onBytes, LONGEST_BLOCK)) {
    const line = raw.replace(/\r\n$/, '\n')
    if (length >= LONGEST_BLOCK || (!line.trim() && length >= DOCUMENT)) {
      const text = take()
      if (text) yield text
      if (!line.trim()) continue
    }
    document.push(line)
    length += line.length
  }
  const text = take()
  if (text) yield text
}

async function* jsonDocuments(
  file: string,
  field: string,
  onBytes: (count: number) => void,
): AsyncGenerator<string> {
  let number = 0
  for await (const line of readLines(file, onBytes)) {
    number++
    if (!line.trim()) continue
    const where = `${file}:${number}`
    const record = parseLine(line, where)
    const text = record[field]
    if (typeof text !== 'string') {
      const there = Object.keys(record).join(', ') || 'nothing'
      throw badInput(`the line has no text in "${field}" (it has ${there})`, {
        file: where,
        field,
        expected: 'a string',
      })
    }
    if (text.trim()) yield text
  }
}

function parseLine(line: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw badInput('the line is not a JSON object', { file: where, expected: 'one JSON object a line' })
}
