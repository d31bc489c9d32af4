import { Template } from '@huggingface/jinja'
import { badInput, type Corpus, type Tokenizer } from '#contract'
import { chatml, plain, type ChatTemplate } from './chatTemplate'
import { tokenizerFile } from './tokenizer'
import { readTokenizerSettings, specialToken } from './tokenizerSettings'

/** Templates that a definition may name. */
const NAMED: Record<string, ChatTemplate> = { chatml, plain }

/**
 * What writes a corpus' conversations for a tokenizer.
 *
 * @param named in place of the tokenizer's own
 * @throws bad-input where it has none and none is named, and where its own cannot be read
 */
export function templateFor(
  dataDir: string,
  row: Pick<Tokenizer, 'id' | 'kind' | 'name'>,
  corpus: Pick<Corpus, 'name'>,
  named: string | undefined,
): ChatTemplate {
  const template = named === undefined ? ownTemplate(tokenizerFile(dataDir, row)) : NAMED[named]
  if (template) return template
  throw badInput(
    `corpus "${corpus.name}" holds conversations, and tokenizer "${row.name}" has no chat template`,
    { field: 'corpus.template', expected: Object.keys(NAMED).join(', ') },
  )
}

/** Jinja's library has a clock that it cannot be made without. */
const NO_DATE = '{% set strftime_now = undefined %}'

/**
 * The chat template beside a tokenizer, as transformers renders it; undefined where there is none. It knows no date: a
 * template that asks for today's would write other tokens every day.
 */
export function ownTemplate(file: string): ChatTemplate | undefined {
  const settings = readTokenizerSettings(file)
  const { chatTemplate: source } = settings
  if (source === undefined) return undefined
  const special = {
    bos_token: specialToken(settings, 'bos_token'),
    eos_token: specialToken(settings, 'eos_token'),
  }
  const template = parsed(source, file)
  return {
    source: JSON.stringify([source, special]),
    render: (turns, prompt) =>
      template.render({ ...special, messages: turns, add_generation_prompt: prompt }),
  }
}

function parsed(source: string, file: string): Template {
  try {
    return new Template(NO_DATE + source)
  } catch (error) {
    throw badInput(`its chat template cannot be read: ${(error as Error).message}`, {
      file,
      expected: 'a Jinja template',
    })
  }
}
