import { badInput } from '#contract'
import type { TextTokenizer } from './textTokenizer'

/** The same documents in one tokenizer's tokens: BOS before each. */
export interface TokenStream {
  /** Of the tokenizer, for messages. */
  name: string
  ids: Int32Array
  tokenizer: Pick<TextTokenizer, 'bos' | 'piece'>
}

/**
 * Two streams cut at the bytes where both have a token boundary. Span s is the tokens `[ends[s - 1], ends[s])` of
 * each side; the spans follow one another and hold every token of both. A BOS, which stands for no bytes, is a span.
 */
export interface SpanTable {
  student: Int32Array
  teacher: Int32Array
  /** 1 where a span's text is the same in both, [spans]; absent where all of it is. */
  compared?: Uint8Array
}

const SPACE = 32

/**
 * Aligns two tokenizers' tokens of the same text by their byte offsets. A space that one of them puts before every
 * document counts for nothing.
 *
 * @param corpus its name, for messages
 * @throws bad-input when a document's bytes are not the same in both
 */
export function alignTokens(student: TokenStream, teacher: TokenStream, corpus: string): SpanTable {
  const most = Math.min(student.ids.length, teacher.ids.length)
  const spans = { student: new Int32Array(most), teacher: new Int32Array(most) }
  let count = 0
  const add = (a: number, b: number) => {
    spans.student[count] = a
    spans.teacher[count++] = b
  }
  let [a, b] = [0, 0]
  for (let document = 0; a < student.ids.length && b < teacher.ids.length; document++) {
    const [one, other] = [documentAt(student, a), documentAt(teacher, b)]
    const skipped = skips(one.bytes, other.bytes)
    if (!skipped) throw different(student, teacher, corpus, document)
    add(++a, ++b)
    alignDocument(one.lengths, other.lengths, skipped, (i, j) => add(a + i, b + j))
    a += one.lengths.length
    b += other.lengths.length
  }
  if (a < student.ids.length || b < teacher.ids.length) throw different(student, teacher, corpus)
  return { student: spans.student.slice(0, count), teacher: spans.teacher.slice(0, count) }
}

function different(a: TokenStream, b: TokenStream, corpus: string, document?: number): Error {
  const where = document === undefined ? '' : `, document ${document + 1}`
  return badInput(
    `the text of corpus "${corpus}"${where} is not the same in tokenizers "${a.name}" and "${b.name}"`,
    {
      field: 'teachers',
      expected: 'tokenizers that keep every byte',
    },
  )
}

/** The bytes of the document whose BOS is at `at`, and how many each of its tokens has. */
function documentAt({ ids, tokenizer }: TokenStream, at: number): { bytes: Buffer; lengths: number[] } {
  const pieces: Uint8Array[] = []
  for (let i = at + 1; i < ids.length && ids[i] !== tokenizer.bos; i++) pieces.push(tokenizer.piece(ids[i]!))
  return { bytes: Buffer.concat(pieces), lengths: pieces.map(({ length }) => length) }
}

/** How many bytes at the beginning of each count for nothing; undefined when the texts differ. */
function skips(a: Buffer, b: Buffer): [number, number] | undefined {
  if (a.equals(b)) return [0, 0]
  if (a[0] === SPACE && a.subarray(1).equals(b)) return [1, 0]
  if (b[0] === SPACE && b.subarray(1).equals(a)) return [0, 1]
  return undefined
}

/** Tells of every span its ends, in tokens after the BOS. Tokens without bytes belong to the span they follow or begin. */
function alignDocument(
  a: readonly number[],
  b: readonly number[],
  [skipA, skipB]: [number, number],
  add: (i: number, j: number) => void,
): void {
  let [i, j] = [0, 0]
  let [atA, atB] = [-skipA, -skipB]
  let from = 0
  let last: [number, number] | undefined
  while (i < a.length || j < b.length) {
    if (j === b.length || (i < a.length && atA <= atB)) atA += a[i++]!
    else atB += b[j++]!
    if (atA !== atB || atA <= from) continue
    // A span is told when the next one is there: tokens without bytes at the document's end are the last one's.
    if (last) add(...last)
    last = [i, j]
    from = atA
  }
  if (last) add(a.length, b.length)
}
