import type {
  Comparison,
  Corpus,
  Environment,
  EvaluationRecord,
  ModelScore,
  Run,
  RunConfig,
  StepRecord,
  Teacher,
} from '#contract'
import { compareRuns, medianSpeed } from '../comparison'

export interface ReportedRun {
  row: Run
  config: RunConfig
  environment?: Environment
  steps: StepRecord[]
  evaluations: EvaluationRecord[]
}

/** A table of numbers, ready to be written in any format. */
export interface Table {
  title: string
  note?: string
  columns: { title: string; unit?: string; better?: 'lower' | 'higher' | 'neither' }[]
  rows: { head: string; run?: string; cells: (number | null)[] }[]
}

export interface ReportContent {
  title: string
  createdAt: string
  runs: ReportedRun[]
  comparison: Comparison
  tables: Table[]
  settings: { columns: string[]; rows: { head: string; cells: string[] }[] }
  /** What the numbers say, in sentences. */
  findings: string[]
}

/** Everything that a report says, in whatever format it is written. */
export function reportContent(
  title: string,
  runs: ReportedRun[],
  library: { teachers: readonly Teacher[]; scores: readonly ModelScore[] },
): ReportContent {
  const baseline = runs.find(({ row }) => row.method === 'cross-entropy') ?? runs[0]!
  const comparison = compareRuns(runs, baseline.row.id)
  const corpora = corporaOf(runs)
  return {
    title,
    createdAt: new Date().toISOString(),
    runs,
    comparison,
    tables: [
      summary(runs),
      perCorpus('Perplexity by corpus', 'perplexity', runs, corpora, library),
      perCorpus('Bits per byte by corpus', 'bitsPerByte', runs, corpora, library),
      ...alphaTable(runs, corpora),
    ],
    settings: settingsTable(comparison),
    findings: findings(runs, corpora, library),
  }
}

function corporaOf(runs: readonly ReportedRun[]): Corpus[] {
  const byId = new Map(runs.flatMap(({ config }) => config.corpora.map(({ row }) => [row.id, row] as const)))
  return [...byId.values()]
}

function summary(runs: readonly ReportedRun[]): Table {
  const own = runs.some(({ row }) => row.method === 'single-teacher')
  return {
    title: 'Held-out metrics',
    note: `At the last evaluation of each run.${own ? ' A single-teacher run has its one teacher as fused target, so its KL is to another target than that of the others.' : ''}`,
    columns: [
      { title: 'Perplexity', better: 'lower' },
      { title: 'Bits per byte', better: 'lower' },
      { title: 'KL to fused target', unit: 'nats/token', better: 'lower' },
      { title: 'Distillation loss', better: 'lower' },
      { title: 'Top-1 agreement', better: 'higher' },
      { title: 'Step', better: 'neither' },
      { title: 'Training speed', unit: 'tokens/s', better: 'neither' },
    ],
    rows: runs.map(({ row, steps }) => ({
      head: `${row.name} (${row.method})`,
      run: row.id,
      cells: [
        row.evaluation?.perplexity ?? null,
        row.evaluation?.bitsPerByte ?? null,
        row.evaluation?.klToFused ?? null,
        row.evaluation?.distillationLoss ?? null,
        row.evaluation?.agreement ?? null,
        row.step,
        medianSpeed(steps) ?? null,
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

function teachersOf(runs: readonly ReportedRun[]): Teacher[] {
  const byId = new Map(runs.flatMap(({ config }) => config.teachers.map((row) => [row.id, row] as const)))
  return [...byId.values()]
}

/** Where the weight went: mean alpha by teacher and corpus. */
function alphaTable(runs: readonly ReportedRun[], corpora: readonly Corpus[]): Table[] {
  return runs
    .filter(({ row }) => row.teachers.length > 1 && row.evaluation?.corpora.some(({ alpha }) => alpha))
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
}

function settingsTable({ configDiff, rows }: Comparison): ReportContent['settings'] {
  return {
    columns: rows.map(({ name }) => name),
    rows: configDiff.map(({ path, values }) => ({ head: path, cells: values.map((v) => JSON.stringify(v)) })),
  }
}

function findings(
  runs: readonly ReportedRun[],
  corpora: readonly Corpus[],
  { scores }: { scores: readonly ModelScore[] },
): string[] {
  const scored = runs.filter(({ row }) => row.evaluation?.perplexity != null)
  if (scored.length < runs.length) {
    const missing = runs.filter((run) => !scored.includes(run)).map(({ row }) => row.name)
    return [
      `Without a held-out evaluation, and so left out of every ranking: ${missing.join(', ')}.`,
      ...rank(scored, corpora),
    ]
  }
  return [...rank(scored, corpora), ...specialists(runs, corpora, scores)]
}

function rank(runs: readonly ReportedRun[], corpora: readonly Corpus[]): string[] {
  if (runs.length < 2) return []
  const perplexity = ({ row }: ReportedRun) => row.evaluation!.perplexity!
  const sorted = [...runs].sort((a, b) => perplexity(a) - perplexity(b))
  const [best, second] = [sorted[0]!, sorted[1]!]
  const sentences = [
    `Lowest held-out perplexity: ${best.row.name} with ${show(perplexity(best))}, before ${second.row.name} with ${show(perplexity(second))}.`,
  ]
  const proposed = runs.find(({ row }) => row.method === 'entropy')
  const against: [Run['method'], string][] = [
    ['cross-entropy', 'training without teachers'],
    ['uniform', 'uniform weights'],
    ['single-teacher', 'a single teacher'],
  ]
  for (const [method, words] of proposed ? against : []) {
    const other = runs.find(({ row }) => row.method === method)
    if (other) sentences.push(versus(proposed!, other, words, corpora))
  }
  const seeds = new Set(runs.map(({ row }) => row.seed))
  if (seeds.size === 1) {
    sentences.push('One seed a row and no confidence intervals: a small difference may be chance.')
  }
  return sentences
}

/** Who wins, over all and by corpus; the paper's claim is named and its outcome said. */
function versus(
  proposed: ReportedRun,
  other: ReportedRun,
  words: string,
  corpora: readonly Corpus[],
): string {
  const [a, b] = [proposed.row.evaluation!.perplexity!, other.row.evaluation!.perplexity!]
  const outcome = a < b ? 'holds in this run' : 'does not hold in this run'
  const change = `${show(Math.abs(1 - a / b) * 100)} % ${a < b ? 'below' : 'above'}`
  const of = (run: ReportedRun, id: string) =>
    run.row.evaluation!.corpora.find(({ corpus }) => corpus === id)?.perplexity ?? NaN
  const won = corpora.filter(({ id }) => of(proposed, id) < of(other, id)).map(({ name }) => name)
  const lost = corpora.filter(({ id }) => of(proposed, id) >= of(other, id)).map(({ name }) => name)
  const where = corpora.length > 1 ? ` It wins on ${list(won)} and loses on ${list(lost)}.` : ''
  return `The claim that entropy-weighted distillation beats ${words} ${outcome}: perplexity ${show(a)} against ${show(b)}, ${change}.${where}`
}

function specialists(
  runs: readonly ReportedRun[],
  corpora: readonly Corpus[],
  scores: readonly ModelScore[],
): string[] {
  const teachers = teachersOf(runs)
  if (teachers.length < 2) return []
  const sentences: string[] = []
  for (const corpus of corpora) {
    const own = teachers.flatMap(({ id, name }) => {
      const score = scores.find((s) => s.model === id && s.corpus === corpus.id)
      return score ? [{ name, perplexity: score.perplexity }] : []
    })
    if (own.length < 2) continue
    own.sort((a, b) => a.perplexity - b.perplexity)
    sentences.push(`${own[0]!.name} (${show(own[0]!.perplexity)}) on ${corpus.name}`)
  }
  return sentences.length ? [`The best teacher by corpus, with its perplexity: ${sentences.join(', ')}.`] : []
}

function list(names: readonly string[]): string {
  return names.length ? names.join(', ') : 'none'
}

/** Four significant digits. */
export function show(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–'
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value)
  const magnitude = Math.floor(Math.log10(Math.abs(value) || 1))
  return magnitude >= 4
    ? Math.round(value).toLocaleString('en-GB')
    : value.toFixed(Math.min(6, Math.max(0, 3 - magnitude)))
}

/** Index of the best cell of each column, over the rows of runs. */
export function bestRows(table: Table): (number | undefined)[] {
  return table.columns.map(({ better }, column) => {
    if (better !== 'lower' && better !== 'higher') return undefined
    let best: number | undefined
    let count = 0
    for (const [i, row] of table.rows.entries()) {
      const value = row.cells[column]
      if (value == null || !row.run) continue
      count++
      const champion = best === undefined ? undefined : table.rows[best]!.cells[column]!
      if (champion === undefined || (better === 'lower' ? value < champion : value > champion)) best = i
    }
    return count > 1 ? best : undefined
  })
}
