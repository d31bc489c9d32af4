import { methodSettings, type TableMethod } from '#contract'
import { readAt, valueAt } from './definitionText'
import type { Field, FieldGroup } from './field'
import { mixtureIn } from './mixture'
import { kindsOfSource } from './sourceFields'
import { kindsOfStudent } from './studentFields'

/** The fields of a group that mean something for a definition; all of them while it cannot be read. */
export function fieldsOf({ fields }: FieldGroup, text: string): readonly Field[] {
  try {
    const mixture = mixtureIn(valueAt(text, 'corpus')).length > 1 ? (['mixture'] as const) : []
    const kinds: Field['when'][] = [...kindsOfStudent(text), ...kindsOfSource(text), ...mixture]
    const fits = ({ only }: Field) => !only || only.is.includes(String(inForce(text, only.path)))
    return fields.filter((field) => (field.when === undefined || kinds.includes(field.when)) && fits(field))
  } catch {
    return fields
  }
}

/** What a setting is: a method fixes some of them, whatever else is written. */
export function inForce(text: string, path: string): unknown {
  const method = valueAt(text, 'method') as TableMethod | undefined
  return (method && methodSettings[method]?.[path]) ?? valueAt(text, path)
}

/** What a definition says of a field; features that are switched off weigh nothing. */
export function settingOf({ path }: Field, text: string): unknown {
  const off = path === 'loss.features.gamma' && readAt(text, 'loss.features') === false
  return off ? 0 : readAt(text, path)
}

/** Whether a definition says something of a field, and not its default. */
export function isSet(field: Field, text: string): boolean {
  const value = settingOf(field, text)
  return value !== undefined && value !== null && String(value) !== String(field.fallback)
}

/** Whether it does of a field that has a default to go back to. */
export const isChanged = (field: Field, text: string): boolean =>
  field.fallback !== undefined && isSet(field, text)
