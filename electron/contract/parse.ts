import { z } from 'zod'
import { badInput, nearest, type RetortError } from './errors'

/**
 * Parses what came from outside. Throws one `bad-input` error that names the file, the path of the first wrong
 * field, and what was expected there; an unknown key also names the nearest known one.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown, file?: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw toBadInput(schema, result.error, file)
}

function toBadInput(schema: z.ZodType, error: z.ZodError, file?: string): RetortError {
  // A misspelt key is told before the key that is missing for it.
  const issues = error.issues.map(deepest)
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const key = shortened(issue.keys[0]!)
    const known = keysAt(schema, path)
    const hint = nearest(key, known)
    const field = [...path, key].join('.')
    const expected = hint ? `"${hint}"` : known.length ? `one of ${known.join(', ')}` : undefined
    return badInput('unknown key', { file, field, expected })
  }
  const { what, expected } = describe(issue)
  return badInput(what, { file, field: path.join('.') || undefined, expected })
}

/** What a value should have been, in our words. */
export function expectedBy(issue: z.core.$ZodIssue): string {
  const { what, expected = what } = describe(issue)
  return expected
}

/** What is wrong and what was expected, in our words: zod's own say "received undefined" of a field that is missing. */
function describe(issue: Issue): { what: string; expected?: string } {
  const [, wanted, given] = /^Invalid input: expected (.+), received (.+)$/.exec(issue.message) ?? []
  if (wanted !== undefined && given !== undefined) {
    const expected = KINDS[wanted] ?? wanted
    return given === 'undefined'
      ? { what: 'is missing', expected }
      : { what: `is ${KINDS[given] ?? given}`, expected }
  }
  const [, options] =
    /^Invalid (?:(?:option|input): expected (?:one of )?|discriminator value. Expected )(.+)$/.exec(
      issue.message,
    ) ?? []
  if (options !== undefined) {
    const names = options.split('|').map((name) => name.trim().replace(/^(["'])(.*)\1$/, '$2'))
    return {
      what: 'is none of the choices',
      expected: names.length > 1 ? `one of ${names.join(', ')}` : names[0],
    }
  }
  const [, size, relation, bound] =
    /^Too (small|big): expected .+? to (?:be|have) (>=|>|<=|<)(.+)$/.exec(issue.message) ?? []
  if (relation) return { what: `is too ${size}`, expected: `${RELATIONS[relation]} ${bound!.trim()}` }
  return issue.message.startsWith('Invalid ') ? { what: 'is not valid here' } : { what: issue.message }
}

/** zod's names of kinds, as they read in a sentence. */
const KINDS: Record<string, string> = {
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a group of settings',
  record: 'a group of settings',
  int: 'a whole number',
  null: 'null',
  NaN: 'not a number',
  undefined: 'missing',
}
const RELATIONS: Record<string, string> = {
  '>=': 'at least',
  '>': 'more than',
  '<=': 'at most',
  '<': 'less than',
}

/** Names of the longest setting: what is longer is no slip of the pen. */
const LONGEST_KEY = 60
const shortened = (key: string) => (key.length > LONGEST_KEY ? `${key.slice(0, LONGEST_KEY)}…` : key)

type Issue = z.core.$ZodIssue

/** A union reports one branch each; the branch that got furthest is the one the author meant. */
function deepest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  let best: Issue | undefined
  for (const branch of issue.errors) {
    const inner = branch[0] && deepest(branch[0])
    if (inner && inner.path.length > (best?.path.length ?? 0)) best = inner
  }
  return best ? ({ ...best, path: [...issue.path, ...best.path] } as Issue) : issue
}

/** The known keys of the object schema that sits at `path`. */
function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  let candidates: z.ZodType[] = [schema]
  for (const step of path) {
    candidates = candidates.flatMap(unwrap).flatMap((s) => {
      if (s instanceof z.ZodObject) return step in s.shape ? [s.shape[step] as z.ZodType] : []
      if (s instanceof z.ZodArray) return [s.element as z.ZodType]
      return []
    })
  }
  const objects = candidates.flatMap(unwrap).filter((s) => s instanceof z.ZodObject)
  return [...new Set(objects.flatMap((s) => Object.keys(s.shape)))]
}

function unwrap(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodUnion) return (schema.options as z.ZodType[]).flatMap(unwrap)
  if (schema instanceof z.ZodPipe)
    return unwrap((schema.in instanceof z.ZodTransform ? schema.out : schema.in) as z.ZodType)
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
  ) {
    return unwrap(schema.unwrap() as z.ZodType)
  }
  return [schema]
}
