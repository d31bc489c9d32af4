import { z } from 'zod'
import { badInput } from '#contract'
import { specialToken, type TokenizerSettings } from './tokenizerSettings'

/** The tokens that stand around a text. */
export interface Boundaries {
  /** Stands before every document. */
  bos: number
  /** A text is at its end with any of them: what begins the next document, and what its settings call an end. */
  ends: readonly number[]
}

/** Names under which the families call what stands before a document, in order of preference. */
const BEGINNINGS = [
  '<|begin_of_text|>',
  '<s>',
  '<|endoftext|>',
  '<bos>',
  '<|end_of_text|>',
  '[CLS]',
  '<|im_start|>',
  '</s>',
]

const step = z.object({
  type: z.literal('TemplateProcessing'),
  single: z.tuple([z.object({ SpecialToken: z.object({ id: z.string() }) })]).rest(z.unknown()),
})
const processed = z.object({
  post_processor: z.union([step, z.object({ processors: z.array(z.unknown()) })]),
})

/** What a `tokenizer.json` itself puts before a text; undefined where it puts nothing there. */
function templateBeginning(json: unknown): string | undefined {
  const { data } = processed.safeParse(json)
  const own = data?.post_processor
  if (!own) return undefined
  const steps = 'processors' in own ? own.processors : [own]
  const found = steps.map((one) => step.safeParse(one).data).find(Boolean)
  return found?.single[0].SpecialToken.id
}

/**
 * What a model was trained with stands in its tokenizer's settings, else in what its `tokenizer.json` puts before a text;
 * of those that say neither (Qwen) it has one of the families' names.
 *
 * @param ids of every token by its text
 * @throws bad-input where nothing says it: any other token before a document would make the model say other things
 */
export function boundariesOf(
  json: unknown,
  ids: ReadonlyMap<string, number>,
  settings: TokenizerSettings,
  file: string,
): Boundaries {
  const end = specialToken(settings, 'eos_token')
  const names = [specialToken(settings, 'bos_token'), templateBeginning(json), ...BEGINNINGS, end]
  const name = names.find((one) => one !== undefined && ids.has(one))
  if (name === undefined) {
    throw badInput('nothing says which token stands before a document', {
      file,
      field: 'added_tokens',
      expected: `bos_token in the tokenizer_config.json beside it, or a token ${BEGINNINGS.join(', ')}`,
    })
  }
  const bos = ids.get(name)!
  const known = new Set(ids.values())
  const ends = [end === undefined ? undefined : ids.get(end), ...settings.ends].filter(
    (id) => id !== undefined && known.has(id),
  )
  return { bos, ends: [...new Set([bos, ...(ends as number[])])] }
}
