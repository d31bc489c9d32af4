import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { badInput, isHubName, type Job, type Tokenizer } from '#contract'
import { copyFile, placeItem, sha256 } from '../../files'
import type { Progress } from '../progress'
import { BOUNDARY } from './byteBpe'
import { openTokenizer, piecesDigest, tokenizerFile } from './tokenizer'
import { readTokenizerSettings, SETTINGS, TEMPLATE } from './tokenizerSettings'

/** Texts that a tokenizer must give back to be called lossless. */
const SAMPLES = [
  'The quick brown fox, it’s 12:30!',
  '  two spaces, a\ttab\nand a\n\nblank line ',
  'Über naïve façades: Ærøskøbing, Ελλάδα, Москва',
  '日本語とかな、한국어 및 中文',
  'emoji 🙂👩‍🔬 and a\u0000control',
  'def f(x):\n    return x ** 2  # code',
]

/** Brings a tokenizer file into the library and tries whether text survives it. */
export async function importTokenizer(
  given: Extract<Job, { kind: 'import-tokenizer' }>,
  progress: Progress = () => {},
): Promise<Tokenizer> {
  const job = { ...given, path: await fileOf(given.path, progress) }
  if (!existsSync(job.path))
    throw badInput('there is no such file', { file: job.path, expected: 'a tokenizer file' })
  const bytes = readFileSync(job.path)
  const kind = kindOf(bytes)
  const tokenizer = openTokenizer(job.path, kind)
  if (kind === 'huggingface') readTokenizerSettings(job.path)
  const row: Tokenizer = {
    id: job.id,
    name: job.name,
    kind,
    vocab: tokenizer.vocab,
    digest: sha256(bytes),
    pieces: piecesDigest(tokenizer),
    lossless: SAMPLES.every((text) => tokenizer.decode(tokenizer.encode(text)) === text),
    createdAt: new Date().toISOString(),
  }
  const file = tokenizerFile(job.dataDir, row)
  const folder = dirname(file)
  rmSync(`${folder}.tmp`, { recursive: true, force: true })
  mkdirSync(`${folder}.tmp`, { recursive: true })
  copyFile(job.path, join(`${folder}.tmp`, basename(file)))
  // What an export says of special tokens, and the template of chats.
  for (const beside of kind === 'huggingface' ? [SETTINGS, TEMPLATE] : []) {
    const own = join(dirname(job.path), beside)
    if (existsSync(own)) copyFile(own, join(`${folder}.tmp`, beside))
  }
  placeItem(folder, row)
  return row
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
