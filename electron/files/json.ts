import { readFileSync } from 'node:fs'
import { badInput, type RetortError } from '#contract'

/** @throws bad-input when the file is not JSON */
export function readJson(file: string): unknown {
  return parseJson(readFileSync(file, 'utf8'), file)
}

/**
 * @param where the file, and the line of it where that is known
 * @throws bad-input when the text is not JSON
 */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw notJson(error as Error, where)
  }
}

/** The parser repeats what it stumbled over, line breaks and all. */
function notJson({ message }: Error, file: string): RetortError {
  return badInput(`it cannot be read as JSON (${message.replace(/\s+/g, ' ')})`, { file })
}
