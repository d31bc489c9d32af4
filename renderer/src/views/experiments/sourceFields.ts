import { isRecord, sourceKinds } from '#contract'
import { valueAt } from './definitionText'
import type { FieldGroup } from './field'

/** Where the text that a student learns on comes from. */
export const sourceGroup: FieldGroup = {
  title: 'Text',
  rare: true,
  fields: [
    {
      path: 'train.source.kind',
      label: 'From',
      help: 'The corpora; what the student itself writes after prompts from them; or both',
      kind: 'choice',
      choices: sourceKinds,
      fallback: 'corpus',
    },
    {
      path: 'train.source.share',
      label: 'Written share',
      help: 'Of “mixed”: the share of the sequences that the student writes, above 0 and below 1',
      kind: 'number',
      fallback: 0.5,
      when: 'mixed',
    },
    {
      path: 'train.source.prompts.tokens',
      label: 'Prompt',
      help: 'First tokens of a document; of a conversation all that stands before an answer',
      kind: 'number',
      fallback: 16,
      when: 'writes',
    },
    {
      path: 'train.source.prompts.corpus',
      label: 'Prompts from',
      help: 'One of the corpora; empty is all of them, by their weights',
      kind: 'text',
      when: 'writes',
    },
    {
      path: 'train.source.tokens',
      label: 'Written tokens',
      help: 'At most; the end token ends a writing before. They alone count in its loss',
      kind: 'number',
      fallback: 64,
      when: 'writes',
    },
    {
      path: 'train.source.temperature',
      label: 'Temperature',
      help: 'Of the drawing; 0 takes the likeliest token',
      kind: 'number',
      fallback: 1,
      when: 'writes',
    },
    {
      path: 'train.source.topP',
      label: 'Top p',
      help: 'Draws from the smallest set of tokens whose probability reaches this',
      kind: 'number',
      fallback: 1,
      when: 'writes',
    },
    {
      path: 'train.source.every',
      label: 'Writes every',
      help: 'Steps; those in between learn again on what is there, which is faster and off the policy',
      kind: 'number',
      fallback: 1,
      when: 'writes',
    },
    {
      path: 'train.source.buffer',
      label: 'Buffer',
      help: 'Sequences that are kept to be drawn from again; 0 is those of the last writing',
      kind: 'number',
      fallback: 0,
      when: 'writes',
    },
  ],
}

/** Which of these fields have a meaning for a definition. */
export function kindsOfSource(text: string): ('writes' | 'mixed')[] {
  const source = valueAt(text, 'train.source')
  const kind = isRecord(source) ? source.kind : undefined
  if (kind === 'mixed') return ['writes', 'mixed']
  return kind === 'student' ? ['writes'] : []
}
