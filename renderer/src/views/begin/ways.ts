import type { Corpus, ExperimentRow, RunRow, Teacher, Tokenizer } from '#contract'

/** What of a data directory tells how far somebody has come. */
export interface Progress {
  corpora: readonly Pick<Corpus, 'id'>[]
  tokenizers: readonly Pick<Tokenizer, 'lossless'>[]
  teachers: readonly Pick<Teacher, 'id'>[]
  experiments: readonly Pick<ExperimentRow, 'id' | 'builtIn'>[]
  runs: readonly Pick<RunRow, 'kind' | 'status' | 'experiment'>[]
}

export interface WayStep {
  label: string
  says: string
  done: boolean
  /** The page where it is done, with its dialog open; absent: an experiment is made. */
  to?: { path: string; query?: Record<string, string> }
}

export interface Way {
  title: string
  says: string
  steps: readonly WayStep[]
}

const at = (path: string, open: string) => ({ path, query: { open } })

/** The ways to a first distilled student beside the demo, step by step, with what is done ticked off. */
export function waysIn({ corpora, tokenizers, teachers, experiments, runs }: Progress): readonly Way[] {
  const own = experiments.filter(({ builtIn }) => !builtIn)
  const newest = own.at(-1)
  const importText: WayStep = {
    label: 'Import text',
    says: 'A file, a folder or a pattern: text, JSON, CSV, Parquet, Arrow',
    done: corpora.length > 0,
    to: at('/corpora', 'import'),
  }
  const rest: WayStep[] = [
    {
      label: 'Make an experiment',
      says: 'It names your teachers and text, and runs as it is',
      done: newest !== undefined,
    },
    {
      label: 'Run it',
      says: 'Its page follows the student live and judges it at the end',
      done: runs.some(
        ({ kind, status, experiment }) =>
          kind === 'student' && status === 'completed' && own.some(({ id }) => id === experiment),
      ),
      to: { path: newest ? `/experiments/${newest.id}` : '/experiments' },
    },
  ]
  return [
    {
      title: 'With your own text',
      says: 'Everything is trained here, from nothing but text.',
      steps: [
        importText,
        {
          label: 'Train a tokenizer',
          says: 'It cuts the text into tokens',
          done: tokenizers.some(({ lossless }) => lossless),
          to: at('/corpora', 'tokenizers'),
        },
        {
          label: 'Train a teacher',
          says: 'One for each kind of text; two that differ teach more than one',
          done: teachers.length > 0,
          to: at('/teachers', 'train'),
        },
        ...rest,
      ],
    },
    {
      title: 'With your own models',
      says: 'Hugging Face folders, llama2.c and ONNX files, or models behind a server.',
      steps: [
        {
          label: 'Import a teacher',
          says: 'Its tokenizer comes with it',
          done: teachers.length > 0,
          to: at('/teachers', 'import'),
        },
        importText,
        ...rest,
      ],
    },
  ]
}
