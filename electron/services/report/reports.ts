import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, conflict, reportFormats, type ParsedParams, type ReportRow, type Result } from '#contract'
import { writeFileAtomic } from '../../files'
import { paths, RunFolder } from '../../store'
import type { Context } from '../context'
import { find, freeName, newId } from '../identity'
import type { RunService } from '../runs'
import { reportContent } from './assemble'
import { modelCard } from './modelCard'
import type { ReportContent } from './content'
import { htmlReport } from './html'
import { latexReport } from './latexReport'
import { csvReport, jsonReport, markdownReport } from './plain'
import { gatherMethods, medianSpeed } from '../comparison'
import type { ReportExtras } from './extras'
import { answerQuestions, type Answer, type Question } from './questions'

export type ReportFormat = (typeof reportFormats)[number]

const writers: Partial<Record<ReportFormat, (content: ReportContent, standalone?: boolean) => string>> = {
  html: htmlReport,
  md: markdownReport,
  tex: latexReport,
  csv: csvReport,
  json: jsonReport,
}

/** Reports: written once, kept as files, listed in the catalogue. */
export class ReportService {
  constructor(
    private readonly context: Context,
    private readonly runs: RunService,
  ) {}

  list(): ReportRow[] {
    return this.context.catalogue.data.reports
  }

  /** The text of a report, in no list and in no file. */
  write(runs: readonly string[], format: ReportFormat, title: string, extras: ReportExtras = {}): string {
    const writer = writers[format]
    if (!writer) {
      const expected = `one of ${Object.keys(writers).join(', ')}; the command line prints a pdf`
      throw badInput(`reports as ${format} are not part of this version`, { field: 'format', expected })
    }
    return writer(
      reportContent(
        title,
        runs.map((id) => this.collect(id)),
        this.context.catalogue.data,
        extras,
      ),
      extras.options?.standalone,
    )
  }

  /** What a study's questions are answered with. */
  answers(runs: readonly string[], questions: readonly Question[]): Answer[] {
    return answerQuestions(questions, gatherMethods(runs.map((id) => this.collect(id))))
  }

  create(
    { runs, name, format, options }: ParsedParams<'reports.create'>,
    extras: ReportExtras = {},
  ): ReportRow {
    const ids = runs.map((id) => this.runs.row(id).id)
    const wanted =
      name ??
      ids
        .map((id) => this.runs.row(id).name)
        .join(' vs ')
        .slice(0, 100)
    const title = freeName(this.list(), wanted)
    const content = this.write(ids, format, title, { ...extras, options })
    const id = newId(title, this.list())
    const row: ReportRow = {
      id,
      name: title,
      format,
      runs: ids,
      file: `${id}.${format}`,
      bytes: Buffer.byteLength(content),
      createdAt: new Date().toISOString(),
      ...(options && { options }),
    }
    writeFileAtomic(this.path(row), content)
    this.context.catalogue.update(({ reports }) => reports.push(row))
    this.changed()
    return row
  }

  get(id: string): Result<'reports.get'> {
    const row = find('report', this.list(), id)
    return { row, content: readFileSync(this.path(row), 'utf8') }
  }

  /**
   * A report in another format, from what its runs are now.
   *
   * @throws conflict when it was not written by a person's choice, not-found when one of its runs is gone
   */
  rewrite({ id, format, standalone }: ParsedParams<'reports.write'>): Result<'reports.write'> {
    const { row, content } = this.get(id)
    const file = `${row.id}.${format}`
    if (format === row.format && standalone === (row.options?.standalone ?? false)) return { file, content }
    const { name, runs, options } = row
    if (!options)
      throw conflict(`report "${name}" belongs to a grid or a study: it is kept as ${row.format} alone`)
    return { file, content: this.write(runs, format, name, { options: { ...options, standalone } }) }
  }

  path(row: ReportRow): string {
    return join(paths.reports(this.context.dataDir), row.file)
  }

  remove(id: string): void {
    const row = find('report', this.list(), id)
    this.context.catalogue.update((data) => (data.reports = data.reports.filter((other) => other !== row)))
    rmSync(this.path(row), { force: true })
    this.changed()
  }

  /**
   * The card of a run's best checkpoint, or of the run that a teacher was trained in; undefined of other models.
   *
   * @param adapter of its adapters alone
   */
  card(id: string, adapter: boolean): string | undefined {
    const { runs, teachers } = this.context.catalogue.data
    const run = teachers.find((row) => row.id === id)?.run ?? id
    const folder = new RunFolder(this.context.dataDir, run)
    const [best, config] = [folder.bestCheckpoint(), folder.config()]
    if (!runs.some((row) => row.id === run) || !best || !config) return undefined
    const evaluation = folder.metrics().evaluations.find(({ step }) => step === best.row.step)
    const environment = folder.environment()
    return modelCard({ config, checkpoint: best.row, evaluation, environment, adapter })
  }

  private collect(id: string) {
    const { row, config, folder } = this.runs.begun(id)
    const { steps, evaluations } = folder.metrics()
    const speed = medianSpeed(steps.map(({ tokensPerSecond }) => tokensPerSecond))
    const { documents, detail } = folder.lastEvaluation()
    return { row, config, environment: folder.environment(), steps, speed, evaluations, documents, detail }
  }

  private changed(): void {
    this.context.pushes.push({ topic: 'library', noun: 'reports' })
  }
}
