import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Job, Tokenizer } from '#contract'
import { placeItem, sha256, writeFileAtomic } from '../../files'
import type { Progress } from '../progress'
import { BOUNDARY, toTokenizerJson, WORDS, type ByteBpe } from './byteBpe'
import { bytesToCharacters } from './bytes'
import { plainText } from './conversation'
import { readDocuments } from './documents'
import { Heap } from './llama2cTokenizer'
import { tokenizerFile } from './tokenizer'

/** Trains a byte-level BPE on the training split of library corpora and writes it to the library. */
export async function trainTokenizer(
  job: Extract<Job, { kind: 'train-tokenizer' }>,
  progress: Progress,
): Promise<Tokenizer> {
  const counts = new Map<string, number>()
  for (const [i, corpus] of job.corpora.entries()) {
    for await (const document of readDocuments(job.dataDir, corpus, 'train'))
      countWords(plainText(document), counts)
    progress(`counting words of ${corpus.name}`, (0.5 * (i + 1)) / job.corpora.length)
  }
  const bpe = learnMerges(counts, job.vocab, (fraction) => progress('merging pairs', 0.5 + 0.5 * fraction))
  const json = JSON.stringify(toTokenizerJson(bpe))
  const row: Tokenizer = {
    id: job.id,
    name: job.name,
    kind: 'bpe',
    vocab: bpe.vocab.size,
    digest: sha256(json),
    lossless: true,
    createdAt: new Date().toISOString(),
  }
  const folder = dirname(tokenizerFile(job.dataDir, row))
  rmSync(`${folder}.tmp`, { recursive: true, force: true })
  mkdirSync(`${folder}.tmp`, { recursive: true })
  writeFileAtomic(join(`${folder}.tmp`, 'tokenizer.json'), json)
  placeItem(folder, row)
  return row
}

export function countWords(text: string, counts: Map<string, number>): void {
  for (const [word] of text.matchAll(WORDS)) counts.set(word, (counts.get(word) ?? 0) + 1)
}

interface Pair {
  count: number
  left: number
  right: number
}

/** Ids of pairs are packed into one number: left * SHIFT + right. */
const SHIFT = 1 << 21

/**
 * Byte-pair encoding (Sennrich et al. 2016) on bytes: the most frequent adjacent pair becomes a piece, until the
 * vocabulary is full. Among equally frequent pairs the one with the lower ids, so the result depends on the counts
 * alone. Id 0 is the boundary, 1..256 are the bytes.
 */
export function learnMerges(
  counts: ReadonlyMap<string, number>,
  size: number,
  onProgress: (fraction: number) => void = () => {},
): ByteBpe {
  const pieces = [
    BOUNDARY,
    ...Array.from({ length: 256 }, (_, byte) => bytesToCharacters(Uint8Array.of(byte))),
  ]
  const encoder = new TextEncoder()
  const words: { ids: number[]; count: number }[] = []
  for (const [word, count] of counts)
    words.push({ ids: Array.from(encoder.encode(word), (b) => b + 1), count })

  const pairCounts = new Map<number, number>()
  const wordsOf = new Map<number, Set<number>>()
  const heap = new Heap<Pair>((a, b) => b.count - a.count || a.left - b.left || a.right - b.right)
  const note = (key: number, word: number, change: number, touched: Set<number>) => {
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + change)
    touched.add(key)
    if (change <= 0) return
    const users = wordsOf.get(key)
    if (users) users.add(word)
    else wordsOf.set(key, new Set([word]))
  }
  const offer = (touched: Set<number>) => {
    for (const key of touched) {
      const count = pairCounts.get(key)!
      if (count > 0) heap.push({ count, left: Math.floor(key / SHIFT), right: key % SHIFT })
    }
  }

  const first = new Set<number>()
  for (const [w, { ids, count }] of words.entries()) {
    for (let i = 0; i + 1 < ids.length; i++) note(ids[i]! * SHIFT + ids[i + 1]!, w, count, first)
  }
  offer(first)

  const merges: [string, string][] = []
  while (pieces.length < size) {
    const best = heap.pop()
    if (!best) break
    const key = best.left * SHIFT + best.right
    // The heap keeps outdated counts; the true one was pushed when it changed.
    if (pairCounts.get(key) !== best.count) continue
    const id = pieces.length
    merges.push([pieces[best.left]!, pieces[best.right]!])
    pieces.push(pieces[best.left]! + pieces[best.right]!)
    const touched = new Set<number>()
    for (const w of wordsOf.get(key)!) replacePair(words[w]!, w, best, id, note, touched)
    pairCounts.delete(key)
    wordsOf.delete(key)
    touched.delete(key)
    offer(touched)
    if (merges.length % 64 === 0) onProgress(pieces.length / size)
  }
  return { vocab: new Map(pieces.map((piece, id) => [piece, id])), merges }
}

function replacePair(
  word: { ids: number[]; count: number },
  index: number,
  { left, right }: Pair,
  id: number,
  note: (key: number, word: number, change: number, touched: Set<number>) => void,
  touched: Set<number>,
): void {
  const { ids, count } = word
  for (let i = 0; i + 1 < ids.length; i++) {
    if (ids[i] !== left || ids[i + 1] !== right) continue
    if (i > 0) {
      note(ids[i - 1]! * SHIFT + left, index, -count, touched)
      note(ids[i - 1]! * SHIFT + id, index, count, touched)
    }
    if (i + 2 < ids.length) {
      note(right * SHIFT + ids[i + 2]!, index, -count, touched)
      note(id * SHIFT + ids[i + 2]!, index, count, touched)
    }
    ids.splice(i, 2, id)
  }
}
