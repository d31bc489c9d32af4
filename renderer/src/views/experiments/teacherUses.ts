import { namedUse, type TeacherPrecision } from '#contract'

/** A teacher of a definition and its precision, where the YAML has one. */
export interface Used {
  name: string
  precision: TeacherPrecision
}

/** What a definition has as its teachers; what is no teacher is left out. */
export function usesIn(value: unknown): Used[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((use: unknown) => {
    if (typeof use === 'string') return namedUse(use)
    const { name, precision } = (use ?? {}) as Partial<Used>
    return typeof name === 'string' ? { name, precision: precision === 'int8' ? 'int8' : 'f32' } : []
  })
}

/** The same for the YAML: one in f32 is its name. */
export function writtenUses(uses: readonly Used[]): (string | Used)[] {
  return uses.map((use) => (use.precision === 'f32' ? use.name : use))
}

/** The teachers of these names, each in the precision that it had. */
export function usesOf(names: readonly string[], before: readonly Used[]): Used[] {
  return names.map((name) => before.find((use) => use.name === name) ?? { name, precision: 'f32' })
}
