import type { Boundaries } from './boundaries'

/** Text to token ids and back. */
export interface TextTokenizer extends Boundaries {
  vocab: number
  /** Without BOS. */
  encode(text: string): Int32Array
  decode(ids: ArrayLike<number>): string
  /** The bytes that a token stands for; none for one that stands for no text. */
  piece(id: number): Uint8Array
  /** What a token that stands for no text is written as where it is shown, as in a chat template: `<|im_end|>`. */
  special(id: number): string | undefined
}

/** The text of the token that stands before every document; undefined where no text stands for it. */
export const beginningText = ({ bos, special, piece }: TextTokenizer): string | undefined =>
  special(bos) ?? (Buffer.from(piece(bos)).toString('utf8') || undefined)
