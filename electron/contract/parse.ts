import { z } from 'zod'
import { badInput, nearest, together, type RetortError } from './errors'

/**
 * Parses what came from outside. Throws a `bad-input` error that names the file, the path of each wrong field, and what
 * was expected there (the first, then the `others`); an unknown key also names the nearest known one.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown, file?: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw toBadInput(schema, result.error, file)
}

function toBadInput(schema: z.ZodType, error: z.ZodError, file?: string): RetortError {
  const issues = error.issues.slice(0, MOST_ISSUES).flatMap(deepest)
  const misspelt = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownKey(schema, issue, key)) : [],
  )
  // A misspelt key is told before all else, and in place of the key that is missing for it.
  const meant = new Set(misspelt.map(({ meant }) => meant))
  const wrong = issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return []
    const field = issue.path.map(String).join('.') || undefined
    const { what, expected } = describe(issue)
    return what.startsWith(MISSING) && meant.has(field) ? [] : [badInput(what, { file, field, expected })]
  })
  const unknown = misspelt.map(({ field, expected }) => badInput('unknown key', { file, field, expected }))
  return together([...unknown, ...wrong])
}

/** As many of zod's issues as are looked at. */
const MOST_ISSUES = 1000
const MISSING = 'is missing'

function unknownKey(
  schema: z.ZodType,
  { path }: Issue,
  unknown: string,
): { field: string; meant?: string; expected?: string } {
  const key = shortened(unknown)
  const at = (name: string) => [...path.map(String), name].join('.')
  const known = keysAt(schema, path.map(String))
  const hint = nearest(key, known)
  if (hint) return { field: at(key), meant: at(hint), expected: `"${hint}"` }
  return { field: at(key), expected: known.length ? `one of ${known.join(', ')}` : undefined }
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
      ? { what: MISSING, expected }
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

/** A union reports each branch; what is wrong in the branch that got furthest is what the author meant. */
function deepest(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const depth = (branch: readonly Issue[]) => branch[0]?.path.length ?? 0
  let best: Issue[] = []
  for (const branch of issue.errors) {
    const inner = branch.flatMap(deepest)
    if (depth(inner) > depth(best)) best = inner
  }
  return best.length ? best.map((one) => ({ ...one, path: [...issue.path, ...one.path] })) : [issue]
}

/** The known keys of the object schema that sits at `path`. */
function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  let candidates: z.ZodType[] = [schema]
  for (const step of path) {
    candidates = candidates.flatMap(unwrap).flatMap((s) => {
      if (s instanceof z.ZodObject) return Object.hasOwn(s.shape, step) ? [s.shape[step] as z.ZodType] : []
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
