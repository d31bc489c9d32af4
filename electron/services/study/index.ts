import { stringify } from 'yaml'
import { evaluation, experiment, failed, parse, type ReportRow, type Run } from '#contract'
import { RunFolder } from '../../store'
import { libraryRows, type Context } from '../context'
import { override } from '../definition'
import type { ExperimentService } from '../experiments'
import { configDigest } from '../grids/digest'
import { stopped } from '../job'
import type { Library } from '../library'
import type { ModelService } from '../models'
import type { RunQueue } from '../queue'
import type { ReportService } from '../report'
import type { Answer } from '../report/questions'
import { resolveExperiment } from '../resolve'
import type { TaskControl } from '../tasks'
import type { StudyDefinition } from './definition'

export interface StudyParts {
  context: Context
  library: Library
  models: ModelService
  queue: RunQueue
  reports: ReportService
  experiments: ExperimentService
}

export interface StudyResult {
  runs: Run[]
  report: ReportRow
  answers: Answer[]
  seconds: number
}

/**
 * Does a study: brings in what it needs, runs every method with every seed, and writes a report that answers its
 * questions with intervals. What the library has under a name, and runs that have completed, are used again.
 */
export class Study {
  constructor(private readonly parts: StudyParts) {}

  async run(study: StudyDefinition, control: TaskControl): Promise<StudyResult> {
    const began = Date.now()
    await this.importCorpora(study, control)
    await this.makeTeachers(study, control)
    await this.scoreTeachers(study, control)
    const runs = await this.runAll(study, control)
    const { reports } = this.parts
    const ids = runs.map(({ id }) => id)
    const old = reports.list().find(({ name }) => name === study.name)
    if (old) reports.remove(old.id)
    const report = reports.create({ runs: ids, name: study.name, format: 'html' }, study.questions)
    return {
      runs,
      report,
      answers: reports.answers(ids, study.questions),
      seconds: (Date.now() - began) / 1000,
    }
  }

  private async importCorpora({ corpora }: StudyDefinition, control: TaskControl): Promise<void> {
    const { library } = this.parts
    for (const corpus of corpora) {
      if (!library.corpora.some(({ name }) => name === corpus.name))
        await library.importCorpus(corpus, control)
    }
  }

  private async makeTeachers({ teachers }: StudyDefinition, control: TaskControl): Promise<void> {
    const { library, experiments } = this.parts
    for (const teacher of teachers) {
      const { name } = teacher
      if (library.teachers.some((row) => row.name === name)) continue
      if ('import' in teacher) await library.importTeacher({ path: teacher.import, name }, control)
      else if ('derive' in teacher) await library.deriveTeacher({ name, ...teacher.derive }, control)
      else await this.finish(experiments.startTeacher(stringify({ ...teacher.train, name })), control, 0)
    }
  }

  /** The matrix of teachers by corpora that the report shows. */
  private async scoreTeachers(
    { teachers, corpora, base }: StudyDefinition,
    control: TaskControl,
  ): Promise<void> {
    const { tokens } = parse(evaluation, base['evaluate'] ?? {}, 'base.evaluate')
    const names = (rows: readonly { name: string }[]) => rows.map(({ name }) => name)
    await this.parts.models.evaluate(names(teachers), names(corpora), { tokens, control })
  }

  private async runAll({ name, base, runs, seeds }: StudyDefinition, control: TaskControl): Promise<Run[]> {
    const { context, queue } = this.parts
    const results: Run[] = []
    const cells = seeds.flatMap((seed) => runs.map((run) => ({ ...run, seed })))
    for (const [i, cell] of cells.entries()) {
      const definition = structuredClone(base)
      for (const [path, value] of Object.entries(cell.set))
        override(definition, `${path}=${JSON.stringify(value)}`)
      const named = { ...definition, name: `${cell.name}, seed ${cell.seed}`, seed: cell.seed }
      const { data } = context.catalogue
      const config = resolveExperiment(
        parse(experiment, named, `${name}: ${cell.name}`),
        libraryRows(context),
      )
      const digest = configDigest(config)
      const known = data.runs.find(
        (run) => run.name === named.name && run.kind === 'student' && this.digestOf(run) === digest,
      )
      if (known?.status === 'completed') results.push(known)
      else {
        const run =
          known && ['stopped', 'failed'].includes(known.status)
            ? queue.resume(known.id)
            : (known ?? queue.add(config, { group: name }))
        results.push(await this.finish(run, control, i / cells.length))
      }
    }
    return results
  }

  private digestOf({ id }: Run): string | undefined {
    const config = new RunFolder(this.parts.context.dataDir, id).config()
    return config && configDigest(config)
  }

  private async finish({ id, name }: Run, control: TaskControl, fraction: number): Promise<Run> {
    const { queue } = this.parts
    control.progress(name, fraction)
    const stop = () => queue.stop(id)
    control.signal.addEventListener('abort', stop, { once: true })
    const ended = await queue.finished(id)
    control.signal.removeEventListener('abort', stop)
    if (control.signal.aborted) throw stopped()
    if (ended.status !== 'completed')
      throw queue.failure(id) ?? failed(`${name}: ${ended.reason ?? ended.status}`)
    return ended
  }
}
