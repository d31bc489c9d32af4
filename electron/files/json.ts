import { readFileSync } from 'node:fs'
import { badInput } from '#contract'
import { jsonFault } from './jsonFault'

/** @throws bad-input when the file is not JSON */
export function readJson(file: string): unknown {
  return parseJson(readFileSync(file, 'utf8'), file)
}

/** What a text says as JSON; undefined where it is none. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * @param where the file, and the line of it where that is known
 * @throws bad-input when the text is not JSON
 */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own words repeat what it stumbled over.
    throw badInput(`it cannot be read as JSON (${jsonFault(text)})`, { file: where })
  }
}
