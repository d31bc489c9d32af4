import { readFileSync } from 'node:fs'
import { badInput } from '#contract'
import { jsonFault } from './jsonFault'

/** @throws bad-input when the file is not JSON */
export function readJson(file: string): unknown {
  return parseJson(readFileSync(file, 'utf8'), file)
}

/** Levels of brackets: what is read goes down them by calls, and no file of any tool has a tenth as many. */
const DEEPEST = 256

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
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own words repeat what it stumbled over.
    throw badInput(`it cannot be read as JSON (${jsonFault(text)})`, { file: where })
  }
  checkNesting(text, where)
  return value
}

/**
 * @param text JSON
 * @throws bad-input when it has more levels than whoever reads it has stack for
 */
export function checkNesting(text: string, where: string): void {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      while (text[++at] !== '"' && at < text.length) if (text[at] === '\\') at++
    } else if (character === '[' || character === '{') {
      if (++depth > DEEPEST)
        throw badInput(`its JSON is nested deeper than ${DEEPEST} levels`, { file: where })
    } else if (character === ']' || character === '}') depth--
  }
}
