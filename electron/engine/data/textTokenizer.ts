/** Text to token ids and back. */
export interface TextTokenizer {
  vocab: number
  /** The id that stands before every document. */
  bos: number
  /** Without BOS. */
  encode(text: string): Int32Array
  decode(ids: ArrayLike<number>): string
  /** The bytes that a token stands for; none for one that stands for no text. */
  piece(id: number): Uint8Array
  /** What a token that stands for no text is written as where it is shown, as in a chat template: `<|im_end|>`. */
  special(id: number): string | undefined
}
