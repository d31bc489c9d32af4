import { badInput, type Corpus, type Tokenizer } from '#contract'
import { chatml, type ChatTemplate } from './chatTemplate'

/** Templates that a definition may name. */
const NAMED: Record<string, ChatTemplate> = { chatml }

/**
 * What writes a corpus' conversations for a tokenizer.
 *
 * @param named in place of the tokenizer's own
 * @throws bad-input where it has none and none is named
 */
export async function templateFor(
  _dataDir: string,
  { name }: Pick<Tokenizer, 'id' | 'kind' | 'name'>,
  corpus: Pick<Corpus, 'name'>,
  named: string | undefined,
): Promise<ChatTemplate> {
  const template = named === undefined ? undefined : NAMED[named]
  if (template) return template
  throw badInput(
    `corpus "${corpus.name}" holds conversations, and tokenizer "${name}" has no chat template`,
    { field: 'corpus.template', expected: Object.keys(NAMED).join(', ') },
  )
}
