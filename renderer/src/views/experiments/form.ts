import { parseDocument } from 'yaml'

/** A field of the form: a path of the definition, with what a person needs to know to set it. */
export interface Field {
  path: string
  label: string
  help: string
  kind: 'number' | 'text' | 'choice' | 'teachers' | 'corpus'
  choices?: readonly string[]
  /** The schema's default, shown where nothing is set. */
  fallback?: string | number
}

export interface FieldGroup {
  title: string
  fields: readonly Field[]
}

export const groups: readonly FieldGroup[] = [
  {
    title: 'Data and teachers',
    fields: [
      { path: 'corpus', label: 'Corpora', help: 'Text to learn from, drawn by weight', kind: 'corpus' },
      {
        path: 'teachers',
        label: 'Teachers',
        help: 'None is training by cross-entropy only',
        kind: 'teachers',
      },
    ],
  },
  {
    title: 'Student',
    fields: [
      { path: 'student.width', label: 'Width', help: 'Of the residual stream', kind: 'number' },
      { path: 'student.layers', label: 'Layers', help: 'Transformer blocks', kind: 'number' },
      { path: 'student.heads', label: 'Heads', help: 'Attention heads; divide the width', kind: 'number' },
      {
        path: 'student.context',
        label: 'Context',
        help: 'Longest sequence, tokens',
        kind: 'number',
        fallback: 256,
      },
    ],
  },
  {
    title: 'Distillation',
    fields: [
      {
        path: 'weighting.strategy',
        label: 'Weighting',
        help: 'How the teachers’ weights alpha come about',
        kind: 'choice',
        choices: ['entropy', 'inverse-entropy', 'uniform'],
        fallback: 'entropy',
      },
      {
        path: 'weighting.temperature',
        label: 'T_w',
        help: 'Weighting temperature; lower is sharper',
        kind: 'number',
        fallback: 1,
      },
      {
        path: 'loss.lambda',
        label: 'λ',
        help: 'Share of distillation against cross-entropy, 0 to 1',
        kind: 'number',
        fallback: 0.5,
      },
      { path: 'loss.tau', label: 'τ', help: 'Distillation temperature', kind: 'number', fallback: 1 },
      {
        path: 'loss.features.gamma',
        label: 'γ',
        help: 'Weight of feature alignment; 0 is off',
        kind: 'number',
        fallback: 0.1,
      },
    ],
  },
  {
    title: 'Training',
    fields: [
      { path: 'train.steps', label: 'Steps', help: 'Optimiser updates', kind: 'number', fallback: 400 },
      { path: 'train.batch', label: 'Batch', help: 'Sequences a step', kind: 'number', fallback: 16 },
      { path: 'train.context', label: 'Sequence', help: 'Tokens a sequence', kind: 'number', fallback: 128 },
      {
        path: 'train.learningRate',
        label: 'Learning rate',
        help: 'After warm-up',
        kind: 'number',
        fallback: 0.001,
      },
      { path: 'seed', label: 'Seed', help: 'Initialisation and data order', kind: 'number', fallback: 1 },
    ],
  },
]

/** The value at a path of a definition's YAML. */
export function valueAt(text: string, path: string): unknown {
  const value = parseDocument(text).getIn(path.split('.'))
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value
}

/** The same YAML with one value set or, with undefined, left out; comments and order stay. */
export function withValue(text: string, path: string, value: unknown): string {
  const document = parseDocument(text)
  const keys = path.split('.')
  if (value === undefined) document.deleteIn(keys)
  else {
    // `features: false` has no gamma: it becomes a group again.
    for (let i = 1; i < keys.length; i++) {
      const inner = document.getIn(keys.slice(0, i))
      if (inner === undefined || inner === null || typeof inner !== 'object')
        document.setIn(keys.slice(0, i), document.createNode({}))
    }
    document.setIn(keys, typeof value === 'object' ? document.createNode(value, { flow: true }) : value)
  }
  return document.toString({ lineWidth: 0 })
}
