import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { parse } from '#contract'
import { readJson } from '../../files'

/** What a model's folder says of its tokenizer beside `tokenizer.json`: kept with it in the library, for exports. */
export const SETTINGS = 'tokenizer_config.json'
/** Where the template stands alone. */
export const TEMPLATE = 'chat_template.jinja'

/** A token's text, or its text with how it is found. */
const token = z.union([z.string(), z.object({ content: z.string() }).loose()]).nullish()
const special = z.object({
  bos_token: token,
  eos_token: token,
  unk_token: token,
  pad_token: token,
  sep_token: token,
  cls_token: token,
  mask_token: token,
  additional_special_tokens: z.array(token).nullish(),
  extra_special_tokens: z.unknown().optional(),
})
/** Several templates have names. */
const template = z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
const settingsFile = special.extend({
  chat_template: template.nullish(),
  clean_up_tokenization_spaces: z.boolean().nullish(),
})

export interface TokenizerSettings {
  /** Special tokens under transformers' keys. */
  special: Record<string, unknown>
  cleanUp?: boolean
  /** Jinja; of several the one that is called default. */
  chatTemplate?: string
}

/**
 * What lies beside a `tokenizer.json`; nothing where nothing does.
 *
 * @throws bad-input where it is none that transformers wrote
 */
export function readTokenizerSettings(tokenizer: string): TokenizerSettings {
  const [file, alone] = [SETTINGS, TEMPLATE].map((name) => join(dirname(tokenizer), name)) as [string, string]
  const own = parse(settingsFile, existsSync(file) ? readJson(file) : {}, file)
  const { chat_template: within, clean_up_tokenization_spaces: cleanUp, ...tokens } = own
  const known = Object.entries(tokens).filter(([, value]) => value !== null && value !== undefined)
  const named = Array.isArray(within) ? within.find(({ name }) => name === 'default')?.template : within
  const chatTemplate = existsSync(alone) ? readFileSync(alone, 'utf8') : (named ?? undefined)
  return {
    special: Object.fromEntries(known),
    ...(typeof cleanUp === 'boolean' && { cleanUp }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  }
}

/** The text of one of the special tokens, where it is said. */
export function specialToken(
  { special }: TokenizerSettings,
  key: 'bos_token' | 'eos_token',
): string | undefined {
  const value = special[key] as string | { content: string } | undefined
  return typeof value === 'object' ? value.content : value
}
