import { stringify } from 'yaml'
import {
  familyNames,
  isNumber,
  isRecord,
  type Checkpoint,
  type Environment,
  type EvaluationRecord,
  type RunConfig,
  type Teacher,
} from '#contract'
import { show } from './content'
import { markdownText } from './plain'

/** What a run's folder says of the student that is exported. */
export interface CardSource {
  config: RunConfig
  checkpoint: Checkpoint
  /** Of the checkpoint's step; absent where that was not evaluated. */
  evaluation?: EvaluationRecord
  environment?: Environment
  /** The card is of its adapters, with the model that they stand beside in `base`. */
  adapter?: boolean
}

const UNKNOWN = 'unknown'

/** How adapters find what they stand beside, of which the Hub may know nothing. */
const OPENED = `The adapters stand beside the model in \`base\`:

\`\`\`python
base = AutoModelForCausalLM.from_pretrained("FOLDER/base")
model = PeftModel.from_pretrained(base, "FOLDER")
\`\`\``

/** Strings in quotes: names come from outside. */
const YAML = {
  defaultStringType: 'QUOTE_DOUBLE',
  defaultKeyType: 'PLAIN',
  lineWidth: 0,
  version: '1.1',
} as const

/** A student's model card for the Hub: Markdown whose front matter is the Hub's. What no run knows is said to be unknown. */
export function modelCard(source: CardSource): string {
  const { config } = source
  return `---
${stringify(frontMatter(source), YAML)}---

${[
  `# ${markdownText(config.name)}`,
  introduction(source),
  ...(source.adapter ? [section('Opened by', OPENED)] : []),
  section('Held-out metrics', evaluationTable(source)),
  section('Recipe', recipeTable(source)),
  section('Teachers', teacherTable(config)),
  section('Data', dataTable(config)),
  section('Licences', licences(config)),
  section('Made again by', command(config)),
].join('\n\n')}
`
}

function frontMatter(source: CardSource): Record<string, unknown> {
  const { config } = source
  const base = config.origin?.name ?? config.continues?.name ?? teacherBegunAs(config)
  return {
    library_name: source.adapter ? 'peft' : 'transformers',
    pipeline_tag: 'text-generation',
    license: UNKNOWN,
    ...(base !== undefined && { base_model: [base] }),
    datasets: config.corpora.map(({ row }) => row.name),
    tags: [
      'retort',
      'text-generation',
      config.student.family,
      ...(source.adapter ? ['lora'] : []),
      ...(teachersOf(config).length ? ['knowledge-distillation', config.method] : []),
    ],
    'model-index': [{ name: config.name, results: results(source) }],
  }
}

const teachersOf = ({ teachers, foreign = [] }: RunConfig): Teacher[] => [
  ...teachers,
  ...foreign.map(({ row }) => row),
]

/** A result for each corpus; what is no finite number has no place in them. */
function results({ config, evaluation }: CardSource): unknown[] {
  return (evaluation?.corpora ?? []).map((score) => {
    const row = config.corpora.find(({ row }) => row.id === score.corpus)?.row
    const name = row?.name ?? score.corpus
    const measured = [
      ['perplexity', 'Perplexity', score.perplexity],
      ['bits_per_byte', 'Bits per byte', score.bitsPerByte],
    ] as const
    return {
      task: { type: 'text-generation' },
      dataset: { name, type: name, split: 'held-out' },
      metrics: measured
        .filter(([, , value]) => isNumber(value))
        .map(([type, name, value]) => ({ type, name, value })),
    }
  })
}

function introduction({ config, checkpoint }: CardSource): string {
  const { student } = config
  const count = teachersOf(config).length
  const how = count
    ? `distilled from ${count === 1 ? 'one teacher' : `${count} teachers`} (method: ${config.method})`
    : 'trained by cross-entropy, without teachers'
  return `A language model of the family ${familyNames[student.family]}, ${how} with Retort (collaborative distillation, [arXiv 2507.15198](https://arxiv.org/abs/2507.15198)), at step ${checkpoint.step} (${checkpoint.tokens} tokens). ${beginning(config)} Names of models and data are those of the library that it was made in; they need not be names on the Hub.`
}

/** The teacher that a definition names for the first weights. */
function teacherBegunAs({ experiment: { student } }: RunConfig): string | undefined {
  return 'init' in student && typeof student.init === 'object' ? student.init.teacher : undefined
}

function beginning(config: RunConfig): string {
  const { origin, continues, experiment } = config
  if (origin) return `It began as the model ${markdownText(origin.name)}.`
  if (continues) return `It goes on from the run ${markdownText(continues.name)}, step ${continues.step}.`
  const named = teacherBegunAs(config)
  if (named !== undefined) return `It began with layers of the teacher ${markdownText(named)}.`
  return 'init' in experiment.student && experiment.student.init === 'teacher'
    ? 'It began with layers of the first teacher whose shapes allow it, with random weights where none’s do.'
    : 'It began with random weights.'
}

const section = (title: string, body: string) => `## ${title}\n\n${body}`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(markdownText).join(' | ')} |`
  return [line(head), `| ${head.map(() => '---').join(' | ')} |`, ...rows.map(line)].join('\n')
}

function evaluationTable({ config, evaluation }: CardSource): string {
  if (!evaluation) return `The checkpoint was not evaluated: its metrics are ${UNKNOWN}.`
  const rows = evaluation.corpora.map(({ corpus, perplexity, bitsPerByte }) => [
    config.corpora.find(({ row }) => row.id === corpus)?.row.name ?? corpus,
    show(perplexity),
    show(bitsPerByte),
  ])
  const all = ['all', show(evaluation.perplexity), show(evaluation.bitsPerByte)]
  return table(['Corpus', 'Perplexity', 'Bits per byte'], [...rows, all])
}

/** Every setting of the run's definition that has a value, by its path in it. */
function recipeTable({ config, checkpoint, environment }: CardSource): string {
  const { name: _, corpus: __, teachers: ___, ...settings } = config.experiment as Record<string, unknown>
  const machine = environment
    ? `Retort ${environment.retort}, ${environment.backend} ${environment.backendVersion}, ${environment.threads} threads`
    : UNKNOWN
  return table(
    ['Setting', 'Value'],
    [...flat(settings), ['checkpoint', `step ${checkpoint.step}`], ['computed with', machine]],
  )
}

function flat(value: unknown, path = ''): string[][] {
  if (isRecord(value))
    return Object.entries(value).flatMap(([key, inner]) => flat(inner, path ? `${path}.${key}` : key))
  return value === undefined ? [] : [[path, typeof value === 'string' ? value : JSON.stringify(value)]]
}

function teacherTable(config: RunConfig): string {
  const rows = teachersOf(config).map(({ name, source, parameters, digest }) => [
    name,
    source,
    String(parameters),
    digest,
  ])
  if (!rows.length) return 'None.'
  return table(['Teacher', 'Comes from', 'Parameters', 'SHA-256 of its weights'], rows)
}

function dataTable({ corpora }: RunConfig): string {
  return table(
    ['Corpus', 'Weight', 'Imported from', 'Documents', 'Bytes', 'SHA-256'],
    corpora.map(({ weight, row }) => [
      row.name,
      show(weight),
      lastPart(row.source),
      String(row.documents),
      String(row.bytes),
      row.digest,
    ]),
  )
}

/** Of a path the name alone: where it lay is nobody's business. */
const lastPart = (source: string) => source.split(/[/\\]/).filter(Boolean).at(-1) ?? UNKNOWN

/** Nothing that was imported says what it may be used for. */
function licences(config: RunConfig): string {
  const lines = [
    ...(config.origin ? [`the model it began as, ${config.origin.name}`] : []),
    ...teachersOf(config).map(({ name }) => `the teacher ${name}`),
    ...config.corpora.map(({ row }) => `the corpus ${row.name}`),
  ]
  return `What this model may be used for depends on the licences of what it was made from. Retort does not know them:

${lines.map((line) => `- ${markdownText(line)}: ${UNKNOWN}`).join('\n')}`
}

/** The definition as it was, with every default in it. */
function command(config: RunConfig): string {
  const { experiment } = config
  const file = config.kind === 'teacher' ? 'teacher.yaml' : 'experiment.yaml'
  const definition = config.kind === 'teacher' ? teacherOf(config) : experiment
  const text = stringify(definition, YAML)
  const run = config.kind === 'teacher' ? 'train-teacher' : 'run'
  return `\`retort ${run} ${file}\`, where corpora and teachers of the names and digests above are in the library, and \`${file}\` is

${fenced(text, 'yaml')}`
}

function teacherOf({ experiment, tokenizer }: RunConfig): Record<string, unknown> {
  const { name, corpus, student, train, evaluate, checkpoint, seed, backend } = experiment
  return {
    name,
    corpus,
    tokenizer: tokenizer.name,
    model: student,
    train,
    evaluate,
    checkpoint,
    seed,
    backend,
  }
}

/** A block that its text cannot end. */
function fenced(text: string, language: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(Math.max(3, longest + 1))
  return `${fence}${language}\n${text}${fence}`
}
