import { specialToken, type TokenizerSettings } from './tokenizerSettings'
import { idOfToken } from './tokenizer'

/**
 * The ids at which a text ends: the one that begins the next document, and the end that the tokenizer's settings name, as
 * a chat's turns have it.
 *
 * @param file a `tokenizer.json`
 */
export function endTokens(file: string, settings: TokenizerSettings, bos: number): number[] {
  const end = specialToken(settings, 'eos_token')
  return [...new Set([bos, (end === undefined ? undefined : idOfToken(file, end)) ?? bos])]
}
