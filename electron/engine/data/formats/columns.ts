import { badInput } from '#contract'
import { CONVERSATION_FIELDS } from '../conversation'

/**
 * The columns of a table to read: those that are asked for, all where none is, and of a table of conversations theirs
 * where a text is asked for that it has not.
 *
 * @throws bad-input where a field that is asked for is no column
 */
export function columnsToRead(
  columns: readonly string[],
  fields: readonly string[],
  file: string,
): readonly string[] {
  if (!fields.length) return columns
  const missing = fields.find((field) => !columns.includes(field))
  if (missing === undefined) return fields
  const conversation = columns.filter((column) => CONVERSATION_FIELDS.includes(column))
  if (missing === 'text' && conversation.length) return conversation
  throw badInput(`the table has no column "${missing}"`, { file, expected: `one of ${columns.join(', ')}` })
}
