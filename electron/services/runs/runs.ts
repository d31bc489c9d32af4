import { setImmediate } from 'node:timers/promises'
import {
  conflict,
  rowOfRun,
  type Comparison,
  type EvaluationRecord,
  type MethodName,
  type ParsedParams,
  type Result,
  type Run,
  type RunConfig,
  type RunCurves,
} from '#contract'
import { readColumns, RunFolder, type MetricColumns } from '../../store'
import { type ComparedRun, compareRuns, medianSpeed } from '../comparison'
import type { Context } from '../context'
import { checkFree, find } from '../identity'
import { drawCurves } from './curves'
import { RunValues } from './values'

type Of<M extends MethodName> = ParsedParams<M>

/** What is asked of runs beyond their control, which is the queue's. */
export class RunService {
  readonly values: RunValues

  constructor(private readonly context: Context) {
    this.values = new RunValues(context)
  }

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

  async curves({ ids, ...drawing }: Of<'runs.curves'>): Promise<RunCurves[]> {
    const found: RunCurves[] = []
    for (const id of ids) {
      found.push({ id, curves: drawCurves(await this.columns(id), drawing) })
      // Others that the host serves have their turn.
      await setImmediate()
    }
    return found
  }

  async evaluations(id: string): Promise<EvaluationRecord[]> {
    return (await this.columns(id)).evaluations
  }

  private columns(id: string): Promise<MetricColumns> {
    const ended = ['completed', 'failed', 'stopped'].includes(this.row(id).status)
    return readColumns(this.folder(id).path, ended)
  }

  rename({ id, name }: Of<'runs.rename'>): Run {
    const row = this.row(id)
    if (row.name !== name) checkFree('run', this.list(), name)
    this.context.catalogue.update(() => (row.name = name))
    this.context.pushes.push({ topic: 'run', run: rowOfRun(row) })
    return row
  }

  annotate({ ids, starred, add = [], remove = [], note }: Of<'runs.annotate'>): Run[] {
    const rows = ids.map((id) => this.row(id))
    this.context.catalogue.update(() => {
      for (const row of rows) {
        if (starred !== undefined) row.starred = starred || undefined
        const tags = [...new Set([...(row.tags ?? []), ...add])].filter((tag) => !remove.includes(tag))
        row.tags = tags.length ? tags.sort() : undefined
        if (note !== undefined) row.note = note || undefined
      }
    })
    for (const row of rows) this.context.pushes.push({ topic: 'run', run: rowOfRun(row) })
    return rows
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
    for (const row of rows) this.context.pushes.push({ topic: 'run', run: rowOfRun(row) })
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

  async compare({ ids, baseline }: Of<'runs.compare'>): Promise<Comparison> {
    const base = baseline === undefined ? undefined : this.row(baseline).id
    const runs: ComparedRun[] = []
    for (const id of ids) {
      const { row, config, folder } = this.begun(id)
      const { columns, evaluations } = await this.columns(id)
      const speed = medianSpeed(columns.get('tokensPerSecond')?.values ?? [])
      runs.push({ row, config, speed, evaluations, documents: folder.lastEvaluation().documents })
      await setImmediate()
    }
    return compareRuns(runs, base !== undefined && ids.includes(base) ? base : runs[0]!.row.id)
  }

  /** @throws conflict for a run that never started: it has nothing to compare */
  begun(id: string): { row: Run; config: RunConfig; folder: RunFolder } {
    const row = this.row(id)
    const folder = this.folder(id)
    const config = folder.config()
    if (!config) throw conflict(`run "${row.name}" has no folder`)
    return { row, config, folder }
  }
}
