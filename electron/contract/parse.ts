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
    const key = issue.keys[0]!
    const known = keysAt(schema, path)
    const hint = nearest(key, known)
    const field = [...path, key].join('.')
    const expected = hint ? `"${hint}"` : known.length ? `one of ${known.join(', ')}` : undefined
    return badInput('unknown key', { file, field, expected })
  }
  return badInput(issue.message, { file, field: path.join('.') || undefined })
}

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
