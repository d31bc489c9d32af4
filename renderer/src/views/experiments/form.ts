import {
  attentionDistances,
  comparisons,
  conflicts,
  granularities,
  objectives,
  tableMethods,
  weightingStrategies,
} from '#contract'
import { studentGroup } from './studentFields'

/** A field of the form: a path of the definition, with what a person needs to know to set it. */
export interface Field {
  path: string
  label: string
  help: string
  kind: 'number' | 'numbers' | 'text' | 'choice' | 'teachers' | 'tokenizer' | 'corpus' | 'model' | 'adapters'
  choices?: readonly string[]
  /** The schema's default, shown where nothing is set. */
  fallback?: string | number
  /** For which students it means something: those that begin as a model, those of them with adapters, the others. */
  when?: 'from' | 'lora' | 'sizes'
}

/** The choice that takes a setting out of the definition. */
export const UNSET = 'as set below'

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
      {
        path: 'tokenizer',
        label: 'Tokenizer',
        help: 'The student’s; to be named where there are no teachers, or teachers of several tokenizers',
        kind: 'tokenizer',
      },
    ],
  },
  studentGroup,
  {
    title: 'Distillation',
    fields: [
      {
        path: 'method',
        label: 'Method',
        help: 'A row of the paper’s Table 1: it fixes the settings that define it',
        kind: 'choice',
        choices: [UNSET, ...tableMethods],
        fallback: UNSET,
      },
      {
        path: 'weighting.strategy',
        label: 'Weighting',
        help: 'How the teachers’ weights alpha come about; oracle is an upper bound: it knows the answer',
        kind: 'choice',
        choices: weightingStrategies,
        fallback: 'entropy',
      },
      {
        path: 'weighting.weights',
        label: 'Weights',
        help: 'Of the weighting “fixed”: a number for each teacher, as in 2, 1, 1',
        kind: 'numbers',
      },
      {
        path: 'weighting.granularity',
        label: 'Granularity',
        help: 'Weights for each token, sequence or batch',
        kind: 'choice',
        choices: granularities,
        fallback: 'token',
      },
      {
        path: 'weighting.temperature',
        label: 'Weighting temperature',
        help: 'Lower is sharper',
        kind: 'number',
        fallback: 1,
      },
      {
        path: 'weighting.fusion',
        label: 'Fusion',
        help: 'Mean of the teachers’ probabilities, or of their logarithms',
        kind: 'choice',
        choices: ['arithmetic', 'geometric'],
        fallback: 'arithmetic',
      },
      {
        path: 'loss.objective',
        label: 'Objective',
        help: 'The divergence between fused target and student',
        kind: 'choice',
        choices: objectives,
        fallback: 'forward-kl',
      },
      {
        path: 'loss.beta',
        label: 'JSD mixture β',
        help: 'Of the objective “jsd”: 0 to 1',
        kind: 'number',
        fallback: 0.5,
      },
      {
        path: 'loss.topK',
        label: 'Top k',
        help: 'Of the objective “top-k”: likeliest tokens of the target that are kept',
        kind: 'number',
        fallback: 50,
      },
      {
        path: 'loss.lambda',
        label: 'Distillation share λ',
        help: '0 is cross-entropy alone, 1 distillation alone',
        kind: 'number',
        fallback: 0.5,
      },
      {
        path: 'loss.tau',
        label: 'Distillation temperature τ',
        help: 'Of teachers and student; higher is softer',
        kind: 'number',
        fallback: 1,
      },
      {
        path: 'loss.conflict',
        label: 'Conflict',
        help: 'Where teachers disagree: gate lets the text decide, drop leaves outliers out',
        kind: 'choice',
        choices: conflicts,
        fallback: 'none',
      },
      {
        path: 'loss.quantile',
        label: 'Drop quantile',
        help: 'Of “drop”: teachers further from the target than this share are left out',
        kind: 'number',
        fallback: 0.9,
      },
      {
        path: 'loss.foreign.compare',
        label: 'Other tokenizers',
        help: 'Their teachers are compared by the text of aligned spans, or by sorted probabilities (ULD)',
        kind: 'choice',
        choices: comparisons,
        fallback: 'spans',
      },
      {
        path: 'loss.foreign.weight',
        label: 'Their weight',
        help: 'Multiplies what teachers of other tokenizers add to the loss',
        kind: 'number',
        fallback: 1,
      },
    ],
  },
  {
    title: 'Feature alignment',
    fields: [
      {
        path: 'loss.features.gamma',
        label: 'Weight γ',
        help: 'Of feature alignment in the loss; 0 is off',
        kind: 'number',
        fallback: 0.1,
      },
      {
        path: 'loss.features.beta',
        label: 'Teachers’ shares β',
        help: 'Of each teacher’s features; alpha follows its weight',
        kind: 'choice',
        choices: ['1', 'alpha'],
        fallback: '1',
      },
      {
        path: 'loss.features.layers',
        label: 'Layers',
        help: 'The last ones, or every student layer; pairs are written in the YAML',
        kind: 'choice',
        choices: ['last', 'uniform'],
        fallback: 'last',
      },
      {
        path: 'loss.features.distance',
        label: 'Distance',
        help: 'Between projected and teacher’s hidden states',
        kind: 'choice',
        choices: ['mse', 'cosine'],
        fallback: 'mse',
      },
      {
        path: 'loss.features.attention',
        label: 'Attention maps',
        help: 'Aligned too, by squared difference or KL',
        kind: 'choice',
        choices: attentionDistances,
        fallback: 'none',
      },
      {
        path: 'loss.features.first',
        label: 'First stage',
        help: 'Share of the steps on features alone; the logits alone after it',
        kind: 'number',
        fallback: 0,
      },
    ],
  },
  {
    title: 'Continuation',
    fields: [
      {
        path: 'continue.run',
        label: 'Continues run',
        help: 'Name or id; its student goes on with these teachers',
        kind: 'text',
      },
      {
        path: 'continue.retention.weight',
        label: 'Retention',
        help: 'Weight of staying close to its earlier self; empty is off',
        kind: 'number',
      },
    ],
  },
  {
    title: 'Training',
    fields: [
      { path: 'train.steps', label: 'Steps', help: 'Optimiser updates', kind: 'number', fallback: 400 },
      { path: 'train.batch', label: 'Batch', help: 'Sequences a step', kind: 'number', fallback: 16 },
      { path: 'train.context', label: 'Sequence length', help: 'Tokens', kind: 'number', fallback: 128 },
      {
        path: 'train.learningRate',
        label: 'Learning rate',
        help: 'After warm-up',
        kind: 'number',
        fallback: 0.001,
      },
      {
        path: 'train.precision',
        label: 'Precision',
        help: 'Of what waits for the backward pass; f16 takes less memory',
        kind: 'choice',
        choices: ['f32', 'f16'],
        fallback: 'f32',
      },
      { path: 'seed', label: 'Seed', help: 'Initialisation and data order', kind: 'number', fallback: 1 },
    ],
  },
]
