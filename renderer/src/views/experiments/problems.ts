import type { Problem } from '#contract'
import type { Field } from './field'

/** Something that is wrong with a definition, and where the page shows it. */
export interface Fault {
  /** The form's field that shows it; undefined where only the YAML does. */
  field?: Field
  /** The path in the YAML; undefined where it is none. */
  path?: string
  /** What a person calls the place. */
  place: string
  what: string
}

/** What is wrong, in the order of the form: what has no field there comes last. */
export function faultsOf(problems: readonly Problem[], fields: readonly Field[]): Fault[] {
  const faults = problems.map(({ message, field: path }): Fault => {
    const field = path === undefined ? undefined : fieldOf(path, fields)
    const what =
      path !== undefined && message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message
    return { field, path, place: field?.label ?? path ?? 'YAML', what }
  })
  const order = ({ field }: Fault) => (field ? fields.indexOf(field) : fields.length)
  return faults.sort((a, b) => order(a) - order(b))
}

/** The field of a path: its own or that of a group around it (`teachers.1`), else the first within it. */
function fieldOf(path: string, fields: readonly Field[]): Field | undefined {
  const around = fields.filter((field) => path === field.path || path.startsWith(`${field.path}.`))
  const nearest = around.sort((a, b) => b.path.length - a.path.length)[0]
  return nearest ?? fields.find((field) => field.path.startsWith(`${path}.`))
}
