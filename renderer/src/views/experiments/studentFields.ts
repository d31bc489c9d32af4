import { matrices } from '#contract'
import { valueAt, withValue } from './definitionText'
import type { Field, FieldGroup } from './field'

/** What a student is said to be: of sizes that are written down, or a model of the library, whole or by adapters. */
export const studentGroup: FieldGroup = {
  title: 'Student',
  fields: [
    {
      path: 'student.from',
      label: 'Begins as',
      help: 'A model of the library, with its family, sizes and tokenizer; empty is one of the sizes below',
      kind: 'model',
    },
    {
      path: 'student.layers',
      label: 'Layers of it',
      help: 'All, or every other with the last; a list, from 0, is written in the YAML',
      kind: 'choice',
      choices: ['all', 'every-other'],
      fallback: 'all',
      when: 'from',
    },
    {
      path: 'student.lora',
      label: 'Trained',
      help: 'All of its weights, or low-rank adapters beside its matrices (LoRA), which take less memory and disk',
      kind: 'adapters',
      when: 'from',
    },
    {
      path: 'student.lora.rank',
      label: 'Rank',
      help: 'Of the adapters: more can learn more, and takes more',
      kind: 'number',
      fallback: 8,
      when: 'lora',
    },
    {
      path: 'student.lora.alpha',
      label: 'Alpha',
      help: 'What adapters add is multiplied by alpha over rank',
      kind: 'number',
      fallback: 16,
      when: 'lora',
    },
    {
      path: 'student.lora.targets',
      label: 'Beside',
      help: `All matrices of a layer, or those of its attention; a list of ${matrices.join(', ')} is written in the YAML`,
      kind: 'choice',
      choices: ['all', 'attention'],
      fallback: 'all',
      when: 'lora',
    },
    {
      path: 'student.lora.dropout',
      label: 'Dropout',
      help: 'Share of the adapters’ inputs that is left out in training, 0 to below 1',
      kind: 'number',
      fallback: 0,
      when: 'lora',
    },
    {
      path: 'student.init',
      label: 'First weights',
      help: 'Random, or every other layer of the first teacher that fits',
      kind: 'choice',
      choices: ['random', 'teacher'],
      fallback: 'random',
      when: 'sizes',
    },
    {
      path: 'student.width',
      label: 'Width',
      help: 'Of the residual stream',
      kind: 'number',
      when: 'sizes',
    },
    { path: 'student.layers', label: 'Layers', help: 'Transformer blocks', kind: 'number', when: 'sizes' },
    {
      path: 'student.heads',
      label: 'Heads',
      help: 'Attention heads; divide the width',
      kind: 'number',
      when: 'sizes',
    },
    {
      path: 'student.kvHeads',
      label: 'Key/value heads',
      help: 'Divide the heads; empty is as many',
      kind: 'number',
      when: 'sizes',
    },
    {
      path: 'student.context',
      label: 'Context',
      help: 'Longest sequence, tokens',
      kind: 'number',
      fallback: 256,
      when: 'sizes',
    },
  ],
}

/** Which of the fields have a meaning for a definition. */
export function kindsOfStudent(text: string): NonNullable<Field['when']>[] {
  if (valueAt(text, 'student.from') === undefined) return ['sizes']
  return valueAt(text, 'student.lora') === undefined ? ['from'] : ['from', 'lora']
}

/** A first size for who goes back from a model to sizes: the smallest of a new experiment. */
const SIZES = { width: 64, layers: 2, heads: 4 }

/** The definition with a student that begins as a model, or as none: what goes with the one is refused with the other. */
export function beginningAs(text: string, name: string | undefined): string {
  const begun = valueAt(text, 'student.from') !== undefined
  if (begun && name !== undefined) return withValue(text, 'student.from', name)
  if (!begun && name === undefined) return text
  return withValue(text, 'student', name === undefined ? SIZES : { from: name })
}

/** The definition with a student that trains adapters, of the usual sizes, or all of its weights. */
export function trainingAdapters(text: string, adapters: boolean): string {
  return withValue(text, 'student.lora', adapters ? { rank: 8, alpha: 16 } : undefined)
}
