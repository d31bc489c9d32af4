import { badInput } from '#contract'
import { CONVERSATION_FIELDS } from '../conversation'

/**
 * The columns of a table to read: those that are asked for, all where none is, and where a text is, those that make a
 * conversation too.
 *
 * @throws bad-input where a field that is asked for is no column
 */
export function columnsToRead(
  columns: readonly string[],
  fields: readonly string[],
  file: string,
): readonly string[] {
  if (!fields.length) return columns
  const conversation = columns.filter((column) => CONVERSATION_FIELDS.includes(column))
  const missing = fields.find((field) => !columns.includes(field))
  if (missing === undefined)
    return fields.includes('text') ? [...new Set([...fields, ...conversation])] : fields
  if (missing === 'text' && conversation.length) return conversation
  throw badInput(`the table has no column "${missing}"`, { file, expected: `one of ${columns.join(', ')}` })
}
