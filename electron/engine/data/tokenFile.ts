import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Corpus, Tokenizer } from '#contract'
import { sha256, writeFileAtomic } from '../../files'
import type { Progress } from '../progress'
import { readDocuments, type Split } from './documents'
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
}

/** Header: magic, version, documents, bos (uint32 each), bytes (float64), SHA-256 of the ids. */
const MAGIC = 0x52544b4e
const VERSION = 1
const HEADER = 4 * 4 + 8 + 32

/**
 * Opens the token file of a split, making it if need be. It is a cache under the digests of corpus and tokenizer: a
 * damaged one is made anew, never trusted.
 */
export async function openTokens(
  dataDir: string,
  corpus: Corpus,
  tokenizer: Tokenizer,
  split: Split,
  progress: Progress = () => {},
): Promise<TokenFile> {
  const key = sha256(`${VERSION}/${corpus.digest}/${tokenizer.digest}/${split}`)
  const path = join(dataDir, 'cache', 'tokens', `${key}.bin`)
  const cached = read(path)
  if (cached) return cached
  rmSync(path, { force: true })
  const made = await tokenize(dataDir, corpus, tokenizer, split, progress)
  write(path, made)
  return { ...made, path }
}

async function tokenize(
  dataDir: string,
  corpus: Corpus,
  row: Tokenizer,
  split: Split,
  progress: Progress,
): Promise<Omit<TokenFile, 'path'>> {
  const tokenizer = await loadTokenizer(dataDir, row)
  let ids = new Int32Array(1 << 16)
  let length = 0
  let bytes = 0
  let documents = 0
  const share = split === 'train' ? 0.9 : 0.05
  for await (const text of readDocuments(dataDir, corpus, split)) {
    const encoded = tokenizer.encode(text)
    while (length + encoded.length + 1 > ids.length) {
      const larger = new Int32Array(ids.length * 2)
      larger.set(ids)
      ids = larger
    }
    ids[length++] = tokenizer.bos
    ids.set(encoded, length)
    length += encoded.length
    bytes += Buffer.byteLength(text)
    documents++
    if (documents % 100 === 0)
      progress(`tokenizing ${corpus.name}`, Math.min(1, bytes / (corpus.bytes * share)))
  }
  return { ids: ids.slice(0, length), bytes, documents, bos: tokenizer.bos }
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
