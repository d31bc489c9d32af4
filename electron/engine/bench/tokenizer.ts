import type { TokenizerBench } from '#contract'
import { createByteBpe } from '../data/byteBpe'
import { deriveDocument, domains } from '../data/grammar'
import { countWords, learnMerges } from '../data/trainTokenizer'
import type { Progress } from '../progress'
import { createRandom } from '../random'

const MB = 1e6

/** Byte-level BPE trained on generated text of all domains, then used to encode part of it. */
export function benchTokenizer(
  { bytes, vocab }: { bytes: number; vocab: number },
  progress: Progress,
): TokenizerBench {
  progress('writing text', 0)
  const documents: string[] = []
  let size = 0
  const random = createRandom(1, 'bench/tokenizer')
  for (let i = 0; size < bytes; i++) {
    const { text } = deriveDocument(domains[i % domains.length]!, random)
    documents.push(text)
    size += Buffer.byteLength(text)
  }
  progress('training', 0.2)
  const started = performance.now()
  const counts = new Map<string, number>()
  for (const text of documents) countWords(text, counts)
  const bpe = learnMerges(counts, vocab)
  const trained = performance.now()
  progress('encoding', 0.7)
  const tokenizer = createByteBpe(bpe, 'bench')
  const encoding = performance.now()
  let tokens = 0
  for (const text of documents) tokens += tokenizer.encode(text).length
  const seconds = (performance.now() - encoding) / 1000
  return {
    part: 'tokenizer',
    megabytes: size / MB,
    vocab,
    trainingSeconds: (trained - started) / 1000,
    encodeMbPerSecond: size / MB / seconds,
    bytesPerToken: size / tokens,
  }
}
