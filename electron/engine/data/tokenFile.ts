import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, failed, textDigest, tokenizerDigest, type Corpus, type Tokenizer } from '#contract'
import { sha256 } from '../../files'
import type { Progress } from '../progress'
import type { ChatTemplate } from './chatTemplate'
import { readDocuments, type Split } from './documents'
import { templateFor } from './templates'
import { loadTokenizer } from './tokenizer'
import { places } from './growing'
import { chunksOf, WordsInFile, type TokenIds, type TokenMask } from './tokens'
import { TokenWriter } from './tokenWriter'
import { BEGIN, beginsOf, documentWords, idsOf, joined, maskOf } from './words'

/** The tokens of one split of a corpus under one tokenizer. */
export interface TokenFile {
  /** BOS before every document. */
  ids: TokenIds
  /** UTF-8 bytes of the documents' text. */
  bytes: number
  documents: number
  bos: number
  path: string
  /** Of conversations: what the assistant says, and where each conversation's rendering begins. */
  assistant?: TokenMask
  begins?: Int32Array
}

/** Header: magic, version, documents, bos (uint32 each), bytes (float64), SHA-256 of the ids. */
const MAGIC = 0x52544b4e
const VERSION = 1
const HEADER = 4 * 4 + 8 + 32
/** Places are 32-bit. */
const MOST_TOKENS = 2 ** 31 - 1

/**
 * Opens the token file of a split, making it if need be. It is a cache under the digests of corpus and tokenizer: a
 * damaged one is made anew, never trusted; one that was not finished is gone on with. It is written and read in parts,
 * whatever its size.
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
  const key = sha256(
    `${VERSION}/${textDigest(corpus)}/${tokenizerDigest(tokenizer)}/${split}${conversations}`,
  )
  const path = join(dataDir, 'cache', 'tokens', `${key}.bin`)
  const cached = read(path, !!template)
  if (cached) return cached
  rmSync(path, { force: true })
  await tokenize(dataDir, corpus, tokenizer, split, progress, template, path)
  const made = read(path, !!template)
  if (!made) throw failed(`the tokens of corpus "${corpus.name}" are not what was written (${path})`)
  return made
}

/**
 * The tokens of a split's first documents, as many as hold `tokens` tokens; all where it has fewer. They are kept nowhere.
 *
 * @throws bad-input where the tokenizer has no template for a conversation, or one that cannot write it
 */
export async function firstTokens(
  dataDir: string,
  corpus: Corpus,
  row: Tokenizer,
  split: Split,
  tokens: number,
  named?: string,
): Promise<Omit<TokenFile, 'path'>> {
  const template = corpus.conversations && templateFor(dataDir, row, corpus, named)
  const tokenizer = await loadTokenizer(dataDir, row)
  const parts: Int32Array[] = []
  const found = { bytes: 0, documents: 0, bos: tokenizer.bos }
  const wordsOf = documentWords(tokenizer, template, (why) => unwritten(corpus, found.documents, split, why))
  let length = 0
  for await (const document of readDocuments(dataDir, corpus, split)) {
    const { words, bytes } = wordsOf(document)
    parts.push(words)
    length += words.length
    found.bytes += bytes
    found.documents++
    if (length >= tokens) break
  }
  const words = joined(parts)
  if (!template) return { ...found, ids: words }
  return { ...found, ids: idsOf(words), assistant: maskOf(words), begins: Int32Array.from(beginsOf(words)) }
}

function unwritten({ name }: Corpus, before: number, split: Split, why: string): Error {
  const what = `conversation ${before + 1} of its ${split} split cannot be written: ${why}`
  return badInput(`corpus "${name}": ${what}`, { expected: 'a template that knows such turns' })
}

async function tokenize(
  dataDir: string,
  corpus: Corpus,
  row: Tokenizer,
  split: Split,
  progress: Progress,
  template: ChatTemplate | undefined,
  path: string,
): Promise<void> {
  const tokenizer = await loadTokenizer(dataDir, row)
  const share = split === 'train' ? 0.9 : 0.05
  const writer = new TokenWriter(path, HEADER)
  const { done } = writer
  const wordsOf = documentWords(tokenizer, template, (why) => unwritten(corpus, done.documents, split, why))
  let known = done.documents
  try {
    for await (const document of readDocuments(dataDir, corpus, split)) {
      if (known-- > 0) continue
      const { words, bytes } = wordsOf(document)
      writer.add(words, bytes)
      if (writer.length > MOST_TOKENS)
        throw badInput(`corpus "${corpus.name}" has more than ${MOST_TOKENS} tokens`, {
          expected: 'several smaller corpora',
        })
      if (done.documents % 100 === 0)
        progress(`tokenizing ${corpus.name}`, Math.min(1, done.bytes / (corpus.bytes * share)))
    }
    writer.finish(({ documents, bytes }, digest) => {
      const header = Buffer.alloc(HEADER)
      for (const [i, value] of [MAGIC, VERSION, documents, tokenizer.bos].entries())
        header.writeUInt32LE(value, i * 4)
      header.writeDoubleLE(bytes, 16)
      header.write(digest, 24, 'hex')
      return header
    })
  } catch (error) {
    writer.abandon()
    throw error
  }
}

/** @returns undefined where there is none, or a damaged one */
function read(path: string, flagged: boolean): TokenFile | undefined {
  if (!existsSync(path)) return undefined
  const header = Buffer.alloc(HEADER)
  const file = openSync(path, 'r')
  const size = fstatSync(file).size
  const complete = readSync(file, header, 0, HEADER, 0) === HEADER && (size - HEADER) % 4 === 0
  closeSync(file)
  if (!complete) return undefined
  const [magic, version, documents, bos] = [0, 4, 8, 12].map((at) => header.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  if (magic !== MAGIC || version !== VERSION) return undefined
  const words = new WordsInFile(path, HEADER)
  const hash = createHash('sha256')
  const begins = places()
  for (const [part, at] of chunksOf(words, words.length)) {
    hash.update(Buffer.from(part.buffer))
    if (flagged) for (let i = 0; i < part.length; i++) if (part[i]! & BEGIN) begins.push(at + i)
  }
  if (hash.digest('hex') !== header.toString('hex', 24, HEADER)) {
    words.close()
    return undefined
  }
  const about = { bytes: header.readDoubleLE(16), documents, bos, path }
  if (!flagged) return { ids: words, ...about }
  return {
    ...about,
    ids: {
      length: words.length,
      subarray: (from, to) => idsOf(words.subarray(from, to)),
    },
    assistant: {
      subarray: (from, to) => maskOf(words.subarray(from, to)),
    },
    begins: begins.all.slice(),
  }
}
