import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { badInput, isHubName, type Job, type Tokenizer } from '#contract'
import { copyFile, placeItem, sha256 } from '../../files'
import type { Progress } from '../progress'
import { BOUNDARY } from './byteBpe'
import { openTokenizer, piecesDigest, tokenizerFile } from './tokenizer'
import { BESIDE, readTokenizerSettings } from './tokenizerSettings'

/** Texts that a tokenizer must give back to be called lossless. */
const SAMPLES = [
  'The quick brown fox, it’s 12:30!',
  '  two spaces, a\ttab\nand a\n\nblank line ',
  'Über naïve façades: Ærøskøbing, Ελλάδα, Москва',
  '日本語とかな、한국어 및 中文',
  'emoji 🙂👩‍🔬 and a\u0000control',
  'def f(x):\n    return x ** 2  # code',
]

/**
 * Brings a tokenizer file into the library and tries whether text survives it.
 *
 * @param given with the ids that its model has rows for (`rows`): what was added to the tokenizer beyond them (Gemma 3's
 *   image token) is left out, so that a text which names it is read as text and never as an id that no model knows
 */
export async function importTokenizer(
  given: Extract<Job, { kind: 'import-tokenizer' }> & { rows?: number },
  progress: Progress = () => {},
): Promise<Tokenizer> {
  const job = { ...given, path: await fileOf(given.path, progress) }
  if (!existsSync(job.path))
    throw badInput('there is no such file', { file: job.path, expected: 'a tokenizer file' })
  const bytes = readFileSync(job.path)
  const kind = kindOf(bytes)
  const isJson = kind !== 'llama2c'
  const whole = openTokenizer(job.path, kind)
  const file = tokenizerFile(job.dataDir, { id: job.id, kind })
  const folder = dirname(file)
  const temporary = join(`${folder}.tmp`, basename(file))
  rmSync(dirname(temporary), { recursive: true, force: true })
  mkdirSync(dirname(temporary), { recursive: true })
  for (const beside of isJson ? BESIDE : []) {
    const own = join(dirname(job.path), beside)
    if (existsSync(own)) copyFile(own, join(dirname(temporary), beside))
  }
  const fitted = isJson ? addedBelow(bytes, whole.vocab, job.rows) : undefined
  if (fitted === undefined) copyFile(job.path, temporary)
  else writeFileSync(temporary, fitted)
  const tokenizer = fitted === undefined ? whole : openTokenizer(temporary, kind)
  const row: Tokenizer = {
    id: job.id,
    name: job.name,
    kind,
    vocab: tokenizer.vocab,
    digest: sha256(fitted ?? bytes),
    pieces: piecesDigest(tokenizer),
    ...(isJson && { settings: sha256(JSON.stringify(readTokenizerSettings(temporary))) }),
    lossless: SAMPLES.every((text) => tokenizer.decode(tokenizer.encode(text)) === text),
    createdAt: new Date().toISOString(),
  }
  placeItem(folder, row)
  return row
}

/** A `tokenizer.json` without the added tokens that a model of so many rows has none for; undefined where all have one. */
function addedBelow(bytes: Buffer, vocab: number, rows = vocab): string | undefined {
  if (vocab <= rows) return undefined
  const json = JSON.parse(bytes.toString('utf8')) as { added_tokens?: { id: number }[] }
  const added = json.added_tokens?.filter(({ id }) => id < rows)
  return added && JSON.stringify({ ...json, added_tokens: added })
}

/** Of a folder, or of a model of the Hub, its tokenizer.json. */
async function fileOf(path: string, progress: Progress): Promise<string> {
  if (isHubName(path)) return (await import('../model/hub/fetchModel')).fetchTokenizer(path, progress)
  return existsSync(path) && statSync(path).isDirectory() ? join(path, 'tokenizer.json') : path
}

/** JSON begins with a brace; of our own making it is when its only special token is our boundary. */
function kindOf(bytes: Buffer): Tokenizer['kind'] {
  if (bytes.subarray(0, 64).toString('latin1').trimStart()[0] !== '{') return 'llama2c'
  try {
    const json = JSON.parse(bytes.toString('utf8')) as {
      added_tokens?: { content: string }[]
      model?: { type?: string; merges?: unknown[]; vocab?: Record<string, number> }
    }
    const ours = json.added_tokens?.length === 1 && json.added_tokens[0]!.content === BOUNDARY
    return ours && json.model?.vocab?.[BOUNDARY] === 0 && Array.isArray(json.model.merges?.[0])
      ? 'bpe'
      : 'huggingface'
  } catch {
    return 'huggingface'
  }
}
