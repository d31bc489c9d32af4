import {
  badInput,
  learnsFromTeachers,
  reportSections,
  runStrokes,
  settingText,
  teacherStrokes,
  type Comparison,
  type Corpus,
  type ModelScore,
  type ReportSection,
  type Teacher,
} from '#contract'
import { compareRuns, gatherMethods, judge } from '../comparison'
import { teachersOf, type ReportContent, type ReportedRun, type Table } from './content'
import { beforeAndAfterTable } from './continued'
import { findings } from './findings'
import { markingAgainst, type Marking } from './marks'
import { methodTables, sayRepeats, verdictTable } from './methods'
import { paperTable } from './paper'
import { passesTable } from './passes'
import { answerQuestions } from './questions'
import { calibrationTables } from './reliability'
import type { ReportExtras } from './extras'

/**
 * Everything that a report says, in whatever format it is written.
 *
 * @throws bad-input when the baseline is none of its runs
 */
export function reportContent(
  title: string,
  runs: ReportedRun[],
  library: { teachers: readonly Teacher[]; scores: readonly ModelScore[] },
  { questions = [], more = [], options = {} }: ReportExtras = {},
): ReportContent {
  const sections = new Set(options.sections ?? reportSections)
  const within = (section: ReportSection, tables: () => Table[]) => (sections.has(section) ? tables() : [])
  const baseline = baselineOf(runs, options.baseline)
  const comparison = compareRuns(runs, baseline.row.id)
  const corpora = corporaOf(runs)
  const methods = gatherMethods(runs)
  const first = methods.find(({ runs, repeats }) => [...runs, ...repeats].includes(baseline))!
  const marking = () => markingAgainst(first, methods)
  // A run that is its whole method carries its method's marks.
  const single = methods.every(({ runs, repeats }) => runs.length === 1 && !repeats.length)
  const answers = answerQuestions(questions, methods)
  const others = methods.filter((method) => method !== first && method.runs.some((r) => r.documents.length))
  const firsts = methods.map((method) => method.runs[0]!)
  const asked = answers.flatMap(({ verdicts }) => verdicts)
  const differences = () => {
    if (questions.length) return []
    const pairs = others.map((method) => [method, first] as const)
    return verdictTable(`Differences to ${first.label}`, judge(pairs))
  }
  return {
    title,
    createdAt: new Date().toISOString(),
    runs,
    methods,
    comparison,
    sections,
    tables: [
      ...verdictTable('What was asked', asked),
      ...within('metrics', () => methodTables(methods, marking())),
      ...within('differences', differences),
      ...within('metrics', () => [summary(runs, single ? marking() : undefined, methods)]),
      ...within('corpora', () => [
        perCorpus('Perplexity by corpus', 'perplexity', runs, corpora, library),
        perCorpus('Bits per byte by corpus', 'bitsPerByte', runs, corpora, library),
        ...alphaTable(firsts, corpora),
        ...foreignTable(firsts, corpora),
      ]),
      ...within('metrics', () => runs.flatMap(beforeAndAfterTable)),
      ...within('calibration', () => calibrationTables(methods)),
      ...within('paper', () => paperTable(runs)),
      ...within('costs', () => passesTable(runs.map(({ row }) => row))),
      ...more,
    ],
    settings: sections.has('settings') ? settingsTable(comparison) : { columns: [], rows: [] },
    strokes: new Map([
      ...runStrokes(firsts.map(({ row }) => row)),
      ...teacherStrokes(library.teachers, teachersOf(runs)),
    ]),
    findings: [
      ...answers.map(({ text }) => text),
      ...(sections.has('findings')
        ? [...sayRepeats(methods), ...findings(runs, methods, corpora, library)]
        : []),
    ],
  }
}

function baselineOf(runs: readonly ReportedRun[], wanted: string | undefined): ReportedRun {
  if (wanted === undefined) return runs.find(({ row }) => row.method === 'cross-entropy') ?? runs[0]!
  const found = runs.find(({ row }) => row.id === wanted || row.name === wanted)
  if (found) return found
  throw badInput(`"${wanted}" is none of the runs`, {
    field: 'baseline',
    expected: `one of ${runs.map(({ row }) => row.name).join(', ')}`,
  })
}

function corporaOf(runs: readonly ReportedRun[]): Corpus[] {
  const byId = new Map(runs.flatMap(({ config }) => config.corpora.map(({ row }) => [row.id, row] as const)))
  return [...byId.values()]
}

function summary(
  runs: readonly ReportedRun[],
  marking: Marking | undefined,
  methods: ReportContent['methods'],
): Table {
  const own = runs.some(({ row }) => row.method === 'single-teacher')
  return {
    title: 'Held-out metrics',
    note: `At the last evaluation of each run.${own ? ' A single-teacher run has its one teacher as fused target, so its KL is to another target than that of the others.' : ''}`,
    marked: marking?.meaning,
    columns: [
      { title: 'Perplexity', better: 'lower' },
      { title: 'Bits per byte', better: 'lower' },
      { title: 'KL to fused target', unit: 'nats/token', better: 'lower' },
      { title: 'Distillation loss', better: 'lower' },
      { title: 'Top-1 agreement', better: 'higher' },
      { title: 'ECE', better: 'lower' },
      { title: 'BLEU', better: 'higher' },
      { title: 'Step', better: 'neither' },
      { title: 'Training speed', unit: 'tokens/s', better: 'neither' },
    ],
    rows: runs.map(({ row, speed }) => ({
      head: `${row.name} (${row.method})`,
      run: row.id,
      marks: (['perplexity', 'bitsPerByte'] as const).flatMap((key, at) =>
        marking?.of(
          methods.find((method) => method.runs[0]!.row === row)!,
          key,
        )
          ? [at]
          : [],
      ),
      cells: [
        row.evaluation?.perplexity ?? null,
        row.evaluation?.bitsPerByte ?? null,
        row.evaluation?.klToFused ?? null,
        row.evaluation?.distillationLoss ?? null,
        row.evaluation?.agreement ?? null,
        row.evaluation?.ece ?? null,
        row.evaluation?.bleu ?? null,
        row.step,
        speed ?? null,
      ],
    })),
  }
}

type PerCorpus = 'perplexity' | 'bitsPerByte'

/** The matrix of teachers (as far as they were scored) and students by corpora, with the floor where it is known. */
function perCorpus(
  title: string,
  key: PerCorpus,
  runs: readonly ReportedRun[],
  corpora: readonly Corpus[],
  { scores }: { scores: readonly ModelScore[] },
): Table {
  const rows: Table['rows'] = []
  for (const teacher of teachersOf(runs)) {
    const cells = corpora.map(
      ({ id }) => scores.find((s) => s.model === teacher.id && s.corpus === id)?.[key] ?? null,
    )
    if (cells.some((cell) => cell !== null)) rows.push({ head: `${teacher.name} (teacher)`, cells })
  }
  for (const { row } of runs) {
    const cells = corpora.map(
      ({ id }) => row.evaluation?.corpora.find(({ corpus }) => corpus === id)?.[key] ?? null,
    )
    rows.push({ head: row.name, run: row.id, cells })
  }
  const known = corpora.some(({ entropyFloor }) => entropyFloor !== undefined)
  if (key === 'bitsPerByte' && known) {
    rows.push({
      head: 'true entropy (floor)',
      cells: corpora.map(({ entropyFloor }) => entropyFloor ?? null),
    })
  }
  return {
    title,
    note:
      key === 'bitsPerByte' && known
        ? 'The floor is the exact code length of the held-out text under the grammar that wrote it: no model can be below it on average.'
        : undefined,
    columns: corpora.map(({ name }) => ({ title: name, better: 'lower' })),
    rows,
  }
}

/** Where the weight went: mean alpha by teacher and corpus. */
function alphaTable(runs: readonly ReportedRun[], corpora: readonly Corpus[]): Table[] {
  return (
    runs
      .filter(({ row }) => row.teachers.length > 1 && row.evaluation?.corpora.some(({ alpha }) => alpha))
      // Weights that nothing was learned by, or that are the same by definition, say nothing.
      .filter(({ config: { experiment } }) => learnsFromTeachers(experiment))
      .filter(({ config }) => config.experiment.weighting.strategy !== 'uniform')
      .map(({ row }) => ({
        title: `Mean weight by teacher and corpus: ${row.name}`,
        columns: corpora.map(({ name }) => ({ title: name, better: 'neither' as const })),
        rows: row.teachers.map(({ name }, k) => ({
          head: name,
          cells: corpora.map(
            ({ id }) => row.evaluation!.corpora.find(({ corpus }) => corpus === id)?.alpha?.[k] ?? null,
          ),
        })),
      }))
  )
}

/** How far the student is from the teachers whose tokenizer is not its own; there is no weight, KL or agreement. */
function foreignTable(runs: readonly ReportedRun[], corpora: readonly Corpus[]): Table[] {
  const taught = runs.filter(({ row }) => row.foreign.length)
  if (!taught.length) return []
  return [
    {
      title: 'Distance to teachers of other tokenizers',
      note: 'On held-out text, over the spans of text that both tokenizers have boundaries around: nats per span (spans), or the distance of the sorted probabilities (uld). Weights by token, KL to the student, agreement and calibration do not exist for these teachers.',
      columns: corpora.map(({ name }) => ({ title: name, better: 'neither' as const })),
      rows: taught.flatMap(({ row, config }) =>
        row.foreign.map(({ name }, j) => ({
          head: `${name}, by ${config.experiment.loss.foreign.compare}: ${row.name}`,
          cells: corpora.map(
            ({ id }) => row.evaluation?.corpora.find(({ corpus }) => corpus === id)?.foreign?.[j] ?? null,
          ),
        })),
      ),
    },
  ]
}

function settingsTable({ configDiff, rows }: Comparison): ReportContent['settings'] {
  return {
    columns: rows.map(({ name }) => name),
    rows: configDiff.map(({ path, values }) => ({
      head: path,
      cells: values.map((v) => (v === null ? '–' : settingText(v))),
    })),
  }
}
