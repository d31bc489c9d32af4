import { badInput } from '#contract'
import type { SpanTable } from './alignment'
import type { TextTokenizer } from './textTokenizer'

/** The same conversations in one tokenizer's tokens, each as its template writes it. */
export interface SpokenStream {
  /** Of the tokenizer, for messages. */
  name: string
  ids: Int32Array
  /** 1 for what the assistant says, with the end of each turn, [ids]. */
  assistant: Uint8Array
  /** Where each conversation begins; a BOS that no template wrote stands before it. */
  begins: Int32Array
  tokenizer: Pick<TextTokenizer, 'piece'>
}

/** Tokens of both sides up to which a span goes, and whether their text is compared. */
type Ends = readonly [student: number, teacher: number, compared: 0 | 1]

/**
 * Aligns what the assistant says, whatever two templates write around it: an answer's text is the same up to where its
 * turn ends. What is around it, and an end that is text in one of them alone, is a span that is not compared.
 *
 * @param corpus its name, for messages
 * @throws bad-input when there are other conversations in one of them
 */
export function alignConversations(
  student: SpokenStream,
  teacher: SpokenStream,
  corpus: string,
): SpanTable & { compared: Uint8Array } {
  if (student.begins.length !== teacher.begins.length) {
    const names = `tokenizers "${student.name}" and "${teacher.name}"`
    throw badInput(`corpus "${corpus}" has other conversations in ${names}`, {
      field: 'teachers',
      expected: 'tokens of the same corpus',
    })
  }
  const spans: Ends[] = []
  let [a, b] = [0, 0]
  const add = (student: number, teacher: number, compared: 0 | 1) => {
    if (student === a && teacher === b) return
    spans.push([student, teacher, compared])
    ;[a, b] = [student, teacher]
  }
  for (let i = 0; i < student.begins.length; i++) {
    const [own, its] = [conversationOf(student, i), conversationOf(teacher, i)]
    add(own.begin, its.begin, 0)
    if (own.answers.length === its.answers.length) {
      for (const [turn, [from, to]] of own.answers.entries()) {
        const [there, until] = its.answers[turn]!
        add(from, there, 0)
        for (const [i, j, compared] of alignAnswer(pieces(student, from, to), pieces(teacher, there, until)))
          add(from + i, there + j, compared)
      }
    }
    add(own.end, its.end, 0)
  }
  return {
    student: Int32Array.from(spans, ([end]) => end),
    teacher: Int32Array.from(spans, ([, end]) => end),
    compared: Uint8Array.from(spans, ([, , compared]) => compared),
  }
}

/** Where a conversation begins and ends, and where each of its answers does. */
function conversationOf({ ids, assistant, begins }: SpokenStream, i: number) {
  const begin = begins[i]!
  const end = begins[i + 1] === undefined ? ids.length : begins[i + 1]! - begins[0]!
  const answers: [number, number][] = []
  for (let at = begin; at < end; at++) {
    if (!assistant[at]) continue
    const from = at
    while (at < end && assistant[at]) at++
    answers.push([from, at])
  }
  return { begin, end, answers }
}

const pieces = ({ ids, tokenizer }: SpokenStream, from: number, to: number) =>
  Array.from(ids.subarray(from, to), (id) => tokenizer.piece(id))

/** Whether a byte is a space, a tab or a line end. */
const isBlank = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13)

/** The spans of an answer, in tokens of its own; blanks that a template writes before it count for nothing. */
function alignAnswer(a: readonly Uint8Array[], b: readonly Uint8Array[]): Ends[] {
  const [one, other] = [Buffer.concat(a), Buffer.concat(b)]
  const blanks = (text: Buffer) => {
    const found = text.findIndex((byte) => !isBlank(byte))
    return found < 0 ? text.length : found
  }
  const [skipA, skipB] = [blanks(one), blanks(other)]
  const [lengthA, lengthB] = [one.length - skipA, other.length - skipB]
  let same = 0
  while (same < Math.min(lengthA, lengthB) && one[skipA + same] === other[skipB + same]) same++

  const spans: Ends[] = []
  let [i, j] = [0, 0]
  let [atA, atB] = [-skipA, -skipB]
  let from = 0
  while ((i < a.length || j < b.length) && Math.min(atA, atB) < same) {
    if (j === b.length || (i < a.length && atA <= atB)) atA += a[i++]!.length
    else atB += b[j++]!.length
    if (atA !== atB || atA <= from || atA > same) continue
    spans.push([i, j, 1])
    from = atA
  }
  const last = spans.pop()
  // Tokens without bytes that end both turns are the last span's.
  if (last && from === lengthA && from === lengthB) return [...spans, [a.length, b.length, 1]]
  return [...spans, ...(last ? [last] : []), [a.length, b.length, 0]]
}
