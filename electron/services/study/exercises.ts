import { createHash } from 'node:crypto'

/** Words of one letter, so that a tokenizer has one token for each. */
const LETTERS = [...'abcdefgh']
/** Letters a question. */
const LENGTH = 5

/** What is done with letters. */
const EXERCISES = {
  reverse: (letters: string[]) => [...letters].reverse(),
  sort: (letters: string[]) => [...letters].sort(),
  next: (letters: string[]) =>
    letters.map((letter) => LETTERS[(LETTERS.indexOf(letter) + 1) % LETTERS.length]!),
  rotate: ([first, ...rest]: string[]) => [...rest, first!],
  twice: (letters: string[]) => letters.slice(0, 3).flatMap((letter) => [letter, letter]),
} as const

export const exercises = Object.keys(EXERCISES) as [keyof typeof EXERCISES, ...(keyof typeof EXERCISES)[]]

/**
 * Conversations as JSON lines: a question as `sort: c a f b c =`, and its answer, which is right. All questions differ;
 * they come in the order of their hash, a function of the exercise alone.
 *
 * @param count at most 8^5 = 32,768
 */
export function exerciseLines(exercise: keyof typeof EXERCISES, count: number): string {
  const all = Array.from({ length: LETTERS.length ** LENGTH }, (_, n) =>
    Array.from({ length: LENGTH }, (_, i) => LETTERS[Math.floor(n / LETTERS.length ** i) % LETTERS.length]!),
  )
  const hashed = all.map((letters) => {
    const prompt = `${exercise}: ${letters.join(' ')} =`
    const hash = createHash('sha256').update(prompt).digest('hex')
    return { hash, prompt, completion: EXERCISES[exercise](letters).join(' ') }
  })
  hashed.sort((a, b) => (a.hash < b.hash ? -1 : 1))
  return hashed
    .slice(0, count)
    .map(({ prompt, completion }) => `${JSON.stringify({ prompt, completion })}\n`)
    .join('')
}
