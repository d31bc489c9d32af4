import type { z } from 'zod'
import { hasLayers, isGroupAt, keysAt, rangeAt, wordsAt } from '#contract'
import type { useLibrary } from '../../stores/library'
import type { Knowledge, Suggestion } from '../../ui/yaml/editor'
import type { Field, FieldGroup } from './field'

/** The names that the library has for some fields. */
export type Names = Partial<Record<Field['kind'], readonly string[]>>

/** Those of a library as it is. */
export const namesOf = (library: ReturnType<typeof useLibrary>): Names => ({
  corpus: library.corpora.map(({ name }) => name),
  tokenizer: library.tokenizers.map(({ name }) => name),
  teachers: library.teachers.map(({ name }) => name),
  model: library.teachers.filter(({ model }) => hasLayers(model)).map(({ name }) => name),
})

/**
 * What can be written in a definition: the keys and words of its schema, the names of the library, and what the form says
 * of each setting.
 *
 * @param names asked at every suggestion: the library changes
 */
export function knowledgeOf(schema: z.ZodType, groups: readonly FieldGroup[], names: () => Names): Knowledge {
  const fields = new Map(groups.flatMap((group) => group.fields).map((field) => [field.path, field]))
  const help = (path: readonly string[]): string | undefined => {
    const field = fields.get(path.join('.'))
    if (!field) return undefined
    const bounds = [rangeAt(schema, field.path), field.fallback !== undefined && `default ${field.fallback}`]
    return [field.help, ...bounds].filter(Boolean).join(' · ')
  }
  const keys = (path: readonly string[]): Suggestion[] =>
    keysAt(schema, path).map((key) => {
      const own = [...path, key]
      const text = isGroupAt(schema, own) ? `${key}:` : `${key}: `
      return { text, detail: fields.get(own.join('.'))?.label, help: help(own) }
    })
  const values = (path: readonly string[]): Suggestion[] => {
    const field = fields.get(path.join('.')) ?? fields.get(path.slice(0, -1).join('.'))
    // `teachers: [a]` and `teachers: [{ name: a }]` name the same.
    const isName = field && (path.join('.') === field.path || path.at(-1) === 'name')
    const known = isName ? (names()[field.kind] ?? []) : []
    return [
      ...known.map((text) => ({ text, detail: field!.label })),
      ...wordsAt(schema, path).map((text) => ({ text })),
    ]
  }
  return { suggest: ({ path, kind }) => (kind === 'key' ? keys(path) : values(path)), help }
}
