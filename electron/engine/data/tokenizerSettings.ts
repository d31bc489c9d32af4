import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { parse } from '#contract'
import { readJson } from '../../files'

/** What a model's folder says of its tokenizer beside `tokenizer.json`: kept with it in the library, for exports. */
export const SETTINGS = 'tokenizer_config.json'
/** Where the template stands alone. */
export const TEMPLATE = 'chat_template.jinja'
/** Of the model: with which ids what it writes ends, often more than one. */
export const GENERATION = 'generation_config.json'
/** What is kept of a `tokenizer.json`'s folder, for its boundaries, chats and exports. */
export const BESIDE = [SETTINGS, TEMPLATE, GENERATION] as const

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

const tokenId = z.number().int().nonnegative()
const generationFile = z.object({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() })

export interface TokenizerSettings {
  /** Special tokens under transformers' keys. */
  special: Record<string, unknown>
  /** Ids with which the model's own settings say that a text ends. */
  ends: readonly number[]
  cleanUp?: boolean
  /** Jinja; of several the one that is called default. */
  chatTemplate?: string
}

export const NO_SETTINGS: TokenizerSettings = { special: {}, ends: [] }

/**
 * What lies beside a `tokenizer.json`; nothing where nothing does.
 *
 * @throws bad-input where it is none that transformers wrote
 */
export function readTokenizerSettings(tokenizer: string): TokenizerSettings {
  const [file, alone, generation] = BESIDE.map((name) => join(dirname(tokenizer), name)) as [
    string,
    string,
    string,
  ]
  const readOr = (path: string): unknown => (existsSync(path) ? readJson(path) : {})
  const own = parse(settingsFile, readOr(file), file)
  const { eos_token_id: ends } = parse(generationFile, readOr(generation), generation)
  const { chat_template: within, clean_up_tokenization_spaces: cleanUp, ...tokens } = own
  const known = Object.entries(tokens).filter(([, value]) => value !== null && value !== undefined)
  const named = Array.isArray(within) ? within.find(({ name }) => name === 'default')?.template : within
  const chatTemplate = existsSync(alone) ? readFileSync(alone, 'utf8') : (named ?? undefined)
  return {
    special: Object.fromEntries(known),
    ends: [ends ?? []].flat(),
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
