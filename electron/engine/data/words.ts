import type { Document } from '#contract'
import type { ChatTemplate } from './chatTemplate'
import { encodeConversation } from './conversationTokens'
import type { TextTokenizer } from './textTokenizer'

/** Of conversations' ids: the assistant says it; a conversation begins with it. */
const ASSISTANT = 1 << 30
export const BEGIN = 1 << 29

/** A document's ids as they are kept: BOS first, those of a conversation with what is said of them. */
export interface DocumentWords {
  words: Int32Array
  /** Of its text, UTF-8. */
  bytes: number
}

/**
 * Encodes documents.
 *
 * @param template of conversations
 * @param refused makes an error of why a conversation cannot be written
 */
export function documentWords(
  tokenizer: TextTokenizer,
  template: ChatTemplate | undefined,
  refused: (why: string) => Error,
): (document: Document) => DocumentWords {
  const withBos = (ids: Int32Array) => {
    const words = new Int32Array(ids.length + 1)
    words[0] = tokenizer.bos
    words.set(ids, 1)
    return words
  }
  return (document) => {
    if (typeof document === 'string')
      return { words: withBos(tokenizer.encode(document)), bytes: Buffer.byteLength(document) }
    try {
      const { ids, mask, bytes } = encodeConversation(tokenizer, template!, document)
      const words = ids.map((id, i) => id | (mask[i] ? ASSISTANT : 0) | (i ? 0 : BEGIN))
      return { words: ids[0] === tokenizer.bos ? words : withBos(words), bytes }
    } catch (error) {
      throw refused(error instanceof Error ? error.message : String(error))
    }
  }
}

export const idsOf = (words: Int32Array): Int32Array => words.map((word) => word & ~(ASSISTANT | BEGIN))

/** 1 where the assistant says it. */
export const maskOf = (words: Int32Array): Uint8Array =>
  Uint8Array.from(words, (word) => (word & ASSISTANT ? 1 : 0))

/** Where conversations begin. */
export function* beginsOf(words: Int32Array): Generator<number> {
  for (let i = 0; i < words.length; i++) if (words[i]! & BEGIN) yield i
}

export function joined(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
