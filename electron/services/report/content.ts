import {
  isNumber,
  measuredOf,
  notFiniteSigns,
  numberOf,
  type Comparison,
  type Environment,
  type EvaluationDetail,
  type EvaluationRecord,
  type HeldOutDocument,
  type Measured,
  type ReportSection,
  type Run,
  type RunConfig,
  type StepRecord,
  type Stroke,
  type Teacher,
} from '#contract'
import type { Method } from '../comparison'
import type { Table } from './table'

export type { Table } from './table'

export interface ReportedRun {
  row: Run
  config: RunConfig
  environment?: Environment
  steps: StepRecord[]
  /** Median training speed, tokens/s. */
  speed: number | undefined
  evaluations: EvaluationRecord[]
  /** Scores by document of the last evaluation; none for runs that never came to it. */
  documents: HeldOutDocument[]
  detail?: EvaluationDetail
}

export interface ReportContent {
  title: string
  createdAt: string
  runs: ReportedRun[]
  /** The runs gathered by everything but the seed. */
  methods: Method<ReportedRun>[]
  comparison: Comparison
  tables: Table[]
  settings: { columns: string[]; rows: { head: string; cells: string[] }[] }
  /** What it holds. */
  sections: ReadonlySet<ReportSection>
  /** What the numbers say, in sentences. */
  findings: string[]
  /** How each method's first run and each teacher is drawn, by id: as the app draws them. */
  strokes: ReadonlyMap<string, Stroke>
}

/** The teachers of all runs, once each. */
export function teachersOf(runs: readonly ReportedRun[]): Teacher[] {
  const byId = new Map(runs.flatMap(({ config }) => config.teachers.map((row) => [row.id, row] as const)))
  return [...byId.values()]
}

/** Four significant digits; what is no finite number as what it is, what was not measured as a dash. */
export function show(of: Measured | null): string {
  const value = typeof of === 'number' ? measuredOf(of) : of
  if (value === null) return '–'
  if (!isNumber(value)) return notFiniteSigns[value]
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
      if (!isNumber(value)) continue
      const champion = best === undefined ? undefined : numberOf(table.rows[best]!.cells[column])
      if (champion === undefined || (better === 'lower' ? value < champion : value > champion)) best = i
    }
    return count > 1 ? best : undefined
  })
}
