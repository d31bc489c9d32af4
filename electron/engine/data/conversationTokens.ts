import { renderConversation, type ChatTemplate } from './chatTemplate'
import type { Turn } from './conversation'
import type { TextTokenizer } from './textTokenizer'

/** A conversation's tokens, and which of them the assistant says. */
export interface ConversationTokens {
  ids: Int32Array
  /** 1 for the assistant's, with the end of each turn. */
  mask: Uint8Array
  /** UTF-8 bytes of the text as it is rendered. */
  bytes: number
}

/**
 * Encodes a conversation as it is rendered. A token is the assistant's from the one on that its first character is in
 * up to the last special token of its turn, or to its last character where a template ends turns without one: white
 * space after that end is the template's.
 */
export function encodeConversation(
  tokenizer: TextTokenizer,
  template: ChatTemplate,
  turns: readonly Turn[],
): ConversationTokens {
  const { text, spans } = renderConversation(template, turns)
  const ids = tokenizer.encode(text)
  const mask = new Uint8Array(ids.length)
  /** Tokens of the text's beginning that are tokens of the whole. */
  const until = (end: number) => {
    if (end === text.length) return ids.length
    const part = tokenizer.encode(text.slice(0, end))
    let same = 0
    while (same < part.length && part[same] === ids[same]) same++
    return same
  }
  for (const { from, to } of spans) {
    const [first, end] = [until(from), until(to)]
    mask.fill(1, first, endOfTurn(tokenizer, ids, first, end))
  }
  return { ids, mask, bytes: Buffer.byteLength(text) }
}

/** `end`, without the white space that follows a special token there. */
function endOfTurn({ piece }: TextTokenizer, ids: Int32Array, first: number, end: number): number {
  let last = end
  while (last > first) {
    const bytes = piece(ids[last - 1]!)
    if (!bytes.length) return last
    if (!bytes.every((byte) => byte === 0x20 || (byte >= 9 && byte <= 13))) return end
    last--
  }
  return end
}
