import { badInput, isRecord } from '#contract'

/** What a record's text is made of. */
export interface Field {
  /** The fields that it begins with: columns of a table. */
  roots: string[]
  /** The text, or why there is none. */
  textOf(record: unknown): { text: string } | { problem: string }
}

/**
 * A field's name, a path to it (`data.text`, `turns.0.text`), or a template of several: `{title}\n\n{body}`. `{{` and
 * `}}` are braces themselves.
 *
 * @throws bad-input for a template that cannot be read
 */
export function parseField(field: string): Field {
  if (!/[{}]/.test(field)) {
    return {
      roots: [rootOf(field)],
      textOf(record) {
        const value = valueAt(record, field)
        if (typeof value === 'string') return { text: value }
        return { problem: `it has no text in "${field}" (${thereIs(record, field, value)})` }
      },
    }
  }
  const parts = parseTemplate(field)
  const paths = parts.flatMap((part) => ('path' in part ? [part.path] : []))
  return {
    roots: [...new Set(paths.map(rootOf))],
    textOf(record) {
      let text = ''
      for (const part of parts) {
        const value = 'path' in part ? valueAt(record, part.path) : part.text
        if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
          const { path } = part as { path: string }
          return { problem: `it has no text in "${path}" (${thereIs(record, path, value)})` }
        }
        text += String(value)
      }
      return { text }
    },
  }
}

function parseTemplate(field: string): ({ text: string } | { path: string })[] {
  const signs: Record<string, string> = { '\\n': '\n', '\\t': '\t', '\\\\': '\\', '{{': '{', '}}': '}' }
  const parts = Array.from(
    field.matchAll(/\\[nt\\]|\{\{|\}\}|\{([^{}]+)\}|[^{}\\]+|\\|[{}]/g),
    ([all, path]) => {
      if (path !== undefined) return { path: path.trim() }
      if (all === '{' || all === '}') {
        throw badInput(`the template has a "${all}" without its counterpart`, {
          field: 'field',
          expected: 'names between braces, as {title}\\n\\n{body}',
        })
      }
      return { text: signs[all] ?? all }
    },
  )
  if (!parts.some((part) => 'path' in part))
    throw badInput('the template names no field', { field: 'field', expected: 'as {title}\\n\\n{body}' })
  return parts
}

const rootOf = (path: string) => path.split('.')[0]!

/** A field of that very name, or what its path leads to; own properties alone. */
export function valueAt(record: unknown, path: string): unknown {
  if (isRecord(record) && Object.hasOwn(record, path)) return record[path]
  let value: unknown = record
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string, unknown>)[step]
  }
  return value
}

/** What stands in a field, in a word. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  return (
    { string: 'text', bigint: 'a number', number: 'a number', boolean: 'true or false' }[
      typeof value as string
    ] ?? 'nothing'
  )
}

function thereIs(record: unknown, path: string, value: unknown): string {
  if (!isRecord(record)) return `it is ${kindOf(record)}, not an object`
  if (value !== undefined) return `there it has ${kindOf(value)}`
  return `it has ${Object.keys(record).join(', ') || 'nothing'}${path.includes('.') ? '; the path leads nowhere' : ''}`
}
