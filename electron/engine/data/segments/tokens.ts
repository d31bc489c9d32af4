import { join } from 'node:path'
import {
  badInput,
  textDigest,
  tokenizerDigest,
  tokenReadingOf,
  type CorpusIndex,
  type CorpusRead,
  type Tokenizer,
} from '#contract'
import { sha256 } from '../../../files'
import { templateFor } from '../templates'
import type { TextTokenizer } from '../textTokenizer'
import { loadTokenizer } from '../tokenizer'
import { documentWords, joined } from '../words'
import { SegmentText } from './text'
import { TokenLog } from './tokenLog'

const VERSION = 1

/** Words that are held in memory: 16 MB. */
const HELD = 4 << 20

/**
 * The tokens of a corpus' training text, segment by segment: those that were made are read, the others made when they are
 * asked for, and kept. What comes out is a function of the text and the tokenizer, whoever made it and when.
 */
export class SegmentTokens {
  private readonly held = new Map<number, Int32Array>()
  private words = 0

  private constructor(
    readonly text: SegmentText,
    readonly bos: number,
    private readonly log: TokenLog,
    private readonly make: (segment: number) => Int32Array,
  ) {}

  /** @throws bad-input where the tokenizer has no template for conversations */
  static async open(
    dataDir: string,
    { row, reading = tokenReadingOf(row) }: CorpusRead,
    index: CorpusIndex,
    tokenizerRow: Tokenizer,
    given?: TextTokenizer,
  ): Promise<SegmentTokens> {
    const tokenizer = given ?? (await loadTokenizer(dataDir, tokenizerRow))
    const template = row.conversations && templateFor(dataDir, tokenizerRow, row, reading.template)
    const how = [
      VERSION,
      textDigest(row),
      JSON.stringify(index),
      tokenizerDigest(tokenizerRow),
      template?.source,
    ]
    const path = join(dataDir, 'cache', 'tokens', `${sha256(how.join('/'))}.segments`)
    const text = new SegmentText(dataDir, row, index)
    const wordsOf = documentWords(tokenizer, template, (why) =>
      badInput(`corpus "${row.name}": a conversation cannot be written: ${why}`, {
        expected: 'a template that knows such turns',
      }),
    )
    const make = (segment: number) =>
      joined(text.training(segment).map((document) => wordsOf(document).words))
    return new SegmentTokens(text, tokenizer.bos, new TokenLog(path), make)
  }

  /** A segment's ids as they are kept (`words`). */
  at(segment: number): Int32Array {
    const held = this.held.get(segment)
    if (held) {
      this.held.delete(segment)
      this.held.set(segment, held)
      return held
    }
    let words = this.log.read(segment)
    if (!words) {
      words = this.make(segment)
      this.log.add(segment, words)
    }
    this.hold(segment, words)
    return words
  }

  /** Whether it need not be made. */
  has(segment: number): boolean {
    return this.held.has(segment) || this.log.has(segment)
  }

  /** Takes what another thread has made and kept; it is in memory for whoever needs it soon. */
  hold(segment: number, words: Int32Array): void {
    if (this.held.has(segment)) return
    this.held.set(segment, words)
    this.words += words.length
    for (const [oldest, its] of this.held) {
      if (this.words <= HELD || this.held.size === 1) break
      this.held.delete(oldest)
      this.words -= its.length
    }
  }

  close(): void {
    this.log.close()
    this.text.close()
  }
}
