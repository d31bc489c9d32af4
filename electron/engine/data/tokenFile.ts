import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, type Corpus, type Tokenizer } from '#contract'
import { sha256, writeFileAtomic } from '../../files'
import type { Progress } from '../progress'
import type { ChatTemplate } from './chatTemplate'
import type { Turn } from './conversation'
import { encodeConversation } from './conversationTokens'
import { readDocuments, type Split } from './documents'
import { templateFor } from './templates'
import { loadTokenizer } from './tokenizer'

/** The tokens of one split of a corpus under one tokenizer. */
export interface TokenFile {
  /** BOS before every document. */
  ids: Int32Array
  /** UTF-8 bytes of the documents' text. */
  bytes: number
  documents: number
  bos: number
  path: string
  /** Of conversations: 1 for what the assistant says, [ids], and where each conversation's rendering begins. */
  assistant?: Uint8Array
  begins?: Int32Array
}

/** Header: magic, version, documents, bos (uint32 each), bytes (float64), SHA-256 of the ids. */
const MAGIC = 0x52544b4e
const VERSION = 1
const HEADER = 4 * 4 + 8 + 32
/** Of conversations' ids: the assistant says it; a conversation begins with it. */
const ASSISTANT = 1 << 30
const BEGIN = 1 << 29

/**
 * Opens the token file of a split, making it if need be. It is a cache under the digests of corpus and tokenizer: a
 * damaged one is made anew, never trusted.
 *
 * @param named the template of conversations, in place of the tokenizer's own
 * @throws bad-input where there is none, or it cannot write one of them
 */
export async function openTokens(
  dataDir: string,
  corpus: Corpus,
  tokenizer: Tokenizer,
  split: Split,
  progress: Progress = () => {},
  named?: string,
): Promise<TokenFile> {
  const template = corpus.conversations && templateFor(dataDir, tokenizer, corpus, named)
  const conversations = template ? `/${sha256(template.source)}` : ''
  const key = sha256(`${VERSION}/${corpus.digest}/${tokenizer.digest}/${split}${conversations}`)
  const path = join(dataDir, 'cache', 'tokens', `${key}.bin`)
  const cached = read(path)
  const flagged = (file: TokenFile) => (template ? withoutFlags(file) : file)
  if (cached) return flagged(cached)
  rmSync(path, { force: true })
  const made = await tokenize(dataDir, corpus, tokenizer, split, progress, template)
  write(path, made)
  return flagged({ ...made, path })
}

async function tokenize(
  dataDir: string,
  corpus: Corpus,
  row: Tokenizer,
  split: Split,
  progress: Progress,
  template: ChatTemplate | undefined,
): Promise<Omit<TokenFile, 'path'>> {
  const tokenizer = await loadTokenizer(dataDir, row)
  let ids = new Int32Array(1 << 16)
  let length = 0
  let bytes = 0
  let documents = 0
  const share = split === 'train' ? 0.9 : 0.05
  const conversation = (turns: readonly Turn[]) => {
    try {
      const { ids, mask, bytes } = encodeConversation(tokenizer, template!, turns)
      const complete = ids[0] === tokenizer.bos
      return { ids: ids.map((id, i) => id | (mask[i] ? ASSISTANT : 0) | (i ? 0 : BEGIN)), bytes, complete }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const what = `conversation ${documents + 1} of its ${split} split cannot be written: ${why}`
      throw badInput(`corpus "${corpus.name}": ${what}`, { expected: 'a template that knows such turns' })
    }
  }
  for await (const document of readDocuments(dataDir, corpus, split)) {
    const own = typeof document === 'string' ? undefined : conversation(document)
    const encoded = own?.ids ?? tokenizer.encode(document as string)
    while (length + encoded.length + 1 > ids.length) {
      const larger = new Int32Array(ids.length * 2)
      larger.set(ids)
      ids = larger
    }
    if (!own?.complete) ids[length++] = tokenizer.bos
    ids.set(encoded, length)
    length += encoded.length
    bytes += own?.bytes ?? Buffer.byteLength(document as string)
    documents++
    if (documents % 100 === 0)
      progress(`tokenizing ${corpus.name}`, Math.min(1, bytes / (corpus.bytes * share)))
  }
  return { ids: ids.slice(0, length), bytes, documents, bos: tokenizer.bos }
}

/** Ids of conversations, and what their flags say. */
function withoutFlags(file: TokenFile): TokenFile {
  const begins: number[] = []
  const assistant = new Uint8Array(file.ids.length)
  for (const [i, id] of file.ids.entries()) {
    if (id & ASSISTANT) assistant[i] = 1
    if (id & BEGIN) begins.push(i)
  }
  const ids = file.ids.map((id) => id & ~(ASSISTANT | BEGIN))
  return { ...file, ids, assistant, begins: Int32Array.from(begins) }
}

function write(path: string, { ids, bytes, documents, bos }: Omit<TokenFile, 'path'>): void {
  const body = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)
  const header = Buffer.alloc(HEADER)
  for (const [i, value] of [MAGIC, VERSION, documents, bos].entries()) header.writeUInt32LE(value, i * 4)
  header.writeDoubleLE(bytes, 16)
  header.write(sha256(body), 24, 'hex')
  writeFileAtomic(path, Buffer.concat([header, body]))
}

function read(path: string): TokenFile | undefined {
  if (!existsSync(path)) return undefined
  const file = readFileSync(path)
  if (file.length < HEADER || (file.length - HEADER) % 4) return undefined
  const [magic, version, documents, bos] = [0, 4, 8, 12].map((at) => file.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  const body = file.subarray(HEADER)
  if (magic !== MAGIC || version !== VERSION || file.toString('hex', 24, HEADER) !== sha256(body))
    return undefined
  const ids = new Int32Array(body.length / 4)
  Buffer.from(ids.buffer).set(body)
  return { ids, bytes: file.readDoubleLE(16), documents, bos, path }
}
