import {
  conflict,
  type MethodName,
  type ParsedParams,
  type Result,
  type Run,
  type StepRecord,
} from '#contract'
import { RunFolder } from '../../store'
import { type ComparedRun, compareRuns } from '../comparison'
import type { Context } from '../context'
import { checkFree, find } from '../identity'

type Of<M extends MethodName> = ParsedParams<M>

/** What is asked of runs beyond their control, which is the queue's. */
export class RunService {
  constructor(private readonly context: Context) {}

  list(): Run[] {
    return this.context.catalogue.data.runs
  }

  row(id: string): Run {
    return find('run', this.list(), id)
  }

  folder(id: string): RunFolder {
    return new RunFolder(this.context.dataDir, this.row(id).id)
  }

  get(id: string): Result<'runs.get'> {
    const folder = this.folder(id)
    return { run: this.row(id), config: folder.config(), environment: folder.environment() }
  }

  metrics({ id, afterStep, points }: Of<'runs.metrics'>): Result<'runs.metrics'> {
    const { steps, evaluations } = this.folder(id).metrics()
    const later = steps.filter(({ step }) => step > afterStep)
    return { steps: thin(later, points), evaluations: evaluations.filter(({ step }) => step > afterStep) }
  }

  rename({ id, name }: Of<'runs.rename'>): Run {
    const row = this.row(id)
    if (row.name !== name) checkFree('run', this.list(), name)
    this.context.catalogue.update(() => (row.name = name))
    this.context.pushes.push({ topic: 'run', run: { ...row } })
    return row
  }

  archive({ ids, archived }: Of<'runs.archive'>): Run[] {
    const rows = ids.map((id) => this.row(id))
    const open = rows.find(({ status }) => ['queued', 'running', 'paused'].includes(status))
    if (archived && open)
      throw conflict(`run "${open.name}" is ${open.status}; only a run that has ended is archived`)
    const now = new Date().toISOString()
    this.context.catalogue.update(() => {
      for (const row of rows) row.archivedAt = archived ? (row.archivedAt ?? now) : undefined
    })
    for (const row of rows) this.context.pushes.push({ topic: 'run', run: { ...row } })
    return rows
  }

  /** Deletes it for good; what a person removes goes to the bin. */
  remove(id: string): void {
    const row = this.row(id)
    if (row.status === 'running' || row.status === 'paused') {
      throw conflict(`run "${row.name}" is ${row.status}; stop it before you remove it`)
    }
    this.context.catalogue.update((data) => (data.runs = data.runs.filter((other) => other !== row)))
    new RunFolder(this.context.dataDir, row.id).remove()
    this.context.pushes.push({ topic: 'run-removed', id: row.id })
  }

  compare({ ids, baseline }: Of<'runs.compare'>): Result<'runs.compare'> {
    const runs = ids.map((id) => this.compared(id))
    const base = baseline === undefined ? runs[0]!.row.id : this.row(baseline).id
    return compareRuns(runs, runs.some(({ row }) => row.id === base) ? base : runs[0]!.row.id)
  }

  /** A run with what its folder holds; one that never started has nothing to compare. */
  compared(id: string): ComparedRun {
    const row = this.row(id)
    const folder = this.folder(id)
    const config = folder.config()
    if (!config) throw conflict(`run "${row.name}" has no folder`)
    const { steps, evaluations } = folder.metrics()
    return { row, config, steps, evaluations, documents: folder.lastEvaluation().documents }
  }
}

/** At most `points` records, evenly spaced, the last always among them. */
export function thin(records: readonly StepRecord[], points: number): StepRecord[] {
  if (records.length <= points) return [...records]
  const stride = (records.length - 1) / Math.max(1, points - 1)
  return Array.from({ length: points }, (_, i) => records[Math.round(i * stride)]!)
}
