import { badInput } from '#contract'

/** @throws bad-input where a field that is asked for is no column of a table */
export function checkColumns(columns: readonly string[], fields: readonly string[], file: string): void {
  const missing = fields.find((field) => !columns.includes(field))
  if (missing === undefined) return
  throw badInput(`the table has no column "${missing}"`, { file, expected: `one of ${columns.join(', ')}` })
}
