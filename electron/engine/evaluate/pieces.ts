import type { TextTokenizer } from '../data/textTokenizer'

/** What a decoder writes where bytes are not, or not yet, a character. */
const UNFINISHED = '\uFFFD'

/**
 * The text that each token adds to those before it: a character of several tokens comes with its last one. All together
 * they are the decoded text, unless it ends within a character.
 */
export function textOfEach(ids: ArrayLike<number>, tokenizer: Pick<TextTokenizer, 'decode'>): string[] {
  const all = Array.from(ids)
  let before = ''
  return all.map((_, i) => {
    let now = tokenizer.decode(all.slice(0, i + 1))
    while (now.endsWith(UNFINISHED)) now = now.slice(0, -1)
    const added = now.slice(before.length)
    before = now
    return added
  })
}

/** The text of a token within a text: decoders leave out what stands at a text's very beginning, as a leading space. */
export function pieceReader(tokenizer: Pick<TextTokenizer, 'decode' | 'encode'>): (id: number) => string {
  const anchor = Array.from(tokenizer.encode('a'))
  const { length } = tokenizer.decode(anchor)
  return (id) => tokenizer.decode([...anchor, id]).slice(length)
}
