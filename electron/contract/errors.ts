import { z } from 'zod'

/** One thing that is wrong. */
export const problemShape = z.object({
  code: z.enum(['bad-input', 'not-found', 'conflict', 'failed']),
  message: z.string(),
  file: z.string().optional(),
  field: z.string().optional(),
  expected: z.string().optional(),
})
export type Problem = z.infer<typeof problemShape>

/** What an error looks like once it has crossed a process boundary. */
export const errorShape = problemShape.extend({
  /** What else is wrong with the same input. */
  others: z.array(problemShape).optional(),
})
export type ErrorShape = z.infer<typeof errorShape>

/**
 * Every error that Retort raises on purpose.
 *
 * `bad-input` and `not-found` end a command with exit status 2, the others with 1. The message is complete in
 * itself: it already names file, field and what was expected; the properties are there for forms that mark a field.
 */
export class RetortError extends Error {
  readonly code: ErrorShape['code']
  readonly file?: string
  readonly field?: string
  readonly expected?: string
  /** What else is wrong with the same input. */
  readonly others: readonly Problem[]

  constructor(shape: ErrorShape, options?: { cause?: unknown }) {
    super(inert(shape.message), options)
    this.name = 'RetortError'
    this.code = shape.code
    this.file = shape.file
    this.field = shape.field
    this.expected = shape.expected
    this.others = shape.others ?? []
  }

  /** The plain object that crosses a process boundary. */
  toShape(): ErrorShape {
    const { code, message, file, field, expected, others } = this
    return { code, message, file, field, expected, ...(others.length && { others: [...others] }) }
  }
}

/** Anything thrown, as all that is wrong: the first, then the others. */
export function problemsOf(error: unknown): Problem[] {
  const { others = [], ...first } = toErrorShape(error)
  return [first, ...others]
}

/** As many problems as are told at once: a file of another kind has one a line. */
const MOST_PROBLEMS = 20

/** Errors of one input as one: the first, with what is wrong besides; what two of them say is told once. */
export function together(errors: readonly RetortError[]): RetortError {
  const all = errors.flatMap(problemsOf)
  const [first, ...others] = all.filter(
    ({ message }, i) => all.findIndex((other) => other.message === message) === i,
  )
  return new RetortError({ ...first!, others: others.slice(0, MOST_PROBLEMS - 1) })
}

/** Does what can be done part by part, and tells all the bad input of the parts at once. */
export class Faults {
  readonly errors: RetortError[] = []

  /** What `act` makes; undefined where its input is bad. */
  attempt<T>(act: () => T): T | undefined {
    try {
      return act()
    } catch (error) {
      if (!(error instanceof RetortError) || error.code !== 'bad-input') throw error
      this.errors.push(error)
      return undefined
    }
  }

  /** @throws bad-input when a part had some */
  raise(): void {
    if (this.errors.length) throw together(this.errors)
  }
}

/** A message's characters; what is longer repeats content of a file. */
const LONGEST = 1200
/** Control characters, and those that hide or turn round what follows. */
const UNSEEN = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/**
 * A message as one line that does nothing but be read: it may repeat names and content of files, which could else break
 * the line, move a terminal's cursor or turn the text round.
 */
function inert(message: string): string {
  const line = message
    .replace(/\s*[\r\n]+\s*/g, ' ')
    .replace(UNSEEN, (sign) => `\\u{${sign.codePointAt(0)!.toString(16)}}`)
  if (line.length <= LONGEST) return line
  return `${line.slice(0, LONGEST / 2)} … ${line.slice(-LONGEST / 2)}`
}

/** Bad input: what is wrong, in which file and field, and what was expected there. */
export function badInput(
  what: string,
  where: { file?: string; field?: string; expected?: string } = {},
): RetortError {
  const place = [where.file, where.field].filter(Boolean).join(': ')
  const message = `${place ? `${place}: ` : ''}${what}${where.expected ? `; expected ${where.expected}` : ''}`
  return new RetortError({ code: 'bad-input', message, ...where })
}

export function notFound(noun: string, name: string, known: readonly string[] = []): RetortError {
  const hint = nearest(name, known)
  return new RetortError({
    code: 'not-found',
    message: `no ${noun} named "${name}"${hint ? `; did you mean "${hint}"?` : ''}`,
  })
}

export function conflict(message: string): RetortError {
  return new RetortError({ code: 'conflict', message })
}

export function failed(message: string, cause?: unknown): RetortError {
  return new RetortError({ code: 'failed', message }, { cause })
}

/** Anything thrown, as the shape that crosses a boundary. */
export function toErrorShape(error: unknown): ErrorShape {
  if (error instanceof RetortError) return error.toShape()
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) }
}

/** The known name closest to `name` by edit distance, if it is close enough to be a slip of the pen. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(previous[j]! + 1, current[j - 1]! + 1, substitution))
    }
    previous = current
  }
  return previous[b.length]!
}
