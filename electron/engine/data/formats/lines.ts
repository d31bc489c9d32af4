import { badInput } from '#contract'
import type { Source } from './source'

/** Characters of a line, a cell or a value: half of what one text can hold. */
export const LONGEST = 2 ** 28

/**
 * A source as decoded text, piece by piece; strict UTF-8, a byte-order mark left out.
 *
 * @throws bad-input naming where it is not UTF-8
 */
export async function* readText({ name, bytes }: Source): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let offset = 0
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw badInput(`the text is not UTF-8 within the ${chunk?.length ?? 4} bytes after byte ${offset}`, {
        file: name,
        expected: 'UTF-8 text',
      })
    }
  }
  for await (const chunk of bytes()) {
    yield decode(chunk)
    offset += chunk.length
  }
  yield decode()
}

/**
 * Lines with their ends, which the last one and one that was cut have not.
 *
 * @param longest a line with more characters is cut at a blank; default: such a line is refused
 * @throws bad-input for a line that is longer than one text can be
 */
export async function* readLines(source: Source, longest?: number): AsyncGenerator<string> {
  // Each piece is looked through once: a line may be as long as the file.
  let parts: string[] = []
  let length = 0
  let number = 1
  const take = (end = '') => {
    const line = parts.join('') + end
    parts = []
    length = 0
    number++
    return line
  }
  for await (const piece of readText(source)) {
    let from = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
      yield* cut(take(piece.slice(from, end + 1)), longest)
      from = end + 1
    }
    parts.push(piece.slice(from))
    length += piece.length - from
    if (longest !== undefined && length > longest) {
      const whole = take()
      const cuts = cutAtBlanks(whole, longest)
      parts = [cuts.pop()!]
      length = parts[0]!.length
      yield* cuts
    }
    if (length > LONGEST) throw tooLong('line', `${source.name}:${number}`)
  }
  if (length) yield take()
}

/** The lines of a text that is there, as `readLines` gives them. */
export function* linesOf(text: string, longest?: number): Generator<string> {
  for (const line of text.split(/(?<=\n)/)) if (line) yield* cut(line, longest)
}

const cut = (line: string, longest: number | undefined) =>
  longest === undefined || line.length <= longest ? [line] : cutAtBlanks(line, longest)

export const tooLong = (what: string, file: string) =>
  badInput(`the ${what} has more than ${LONGEST} characters`, { file })

/** Pieces of at most so many characters, cut after a blank where there is one, never within a character; the last may be short. */
export function cutAtBlanks(text: string, longest: number): string[] {
  const pieces: string[] = []
  let from = 0
  while (text.length - from > longest) {
    const blank = text.lastIndexOf(' ', from + longest - 1)
    const half = isHigh(text.charCodeAt(from + longest - 1)) ? 1 : 0
    const end = blank > from ? blank + 1 : from + longest - half
    pieces.push(text.slice(from, end))
    from = end
  }
  return [...pieces, text.slice(from)]
}

/** Whether a UTF-16 unit is the first one of two. */
const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00
