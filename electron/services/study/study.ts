import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, parse as parsePath, relative } from 'node:path'
import { stringify } from 'yaml'
import {
  checkMethodLeaves,
  conflict,
  evaluation,
  experiment,
  notFound,
  parse,
  type ParsedParams,
  type ReportRow,
  type Run,
  type RunConfig,
  type StudyContents,
  type StudyRow,
  type Task,
  usualReading,
} from '#contract'
import { RunFolder } from '../../store'
import { libraryRows, type Context } from '../context'
import { type ExperimentService, override, resolveExperiment, resource } from '../experiments'
import { configDigest } from '../grids'
import { followRun } from '../runs'
import type { Library, ModelService } from '../library'
import { checkLargest } from '../memory'
import type { RunQueue } from '../queue'
import type { Answer, ReportService } from '../report'
import { type TaskBoard, type TaskControl, within } from '../jobs'
import { exerciseLines } from './exercises'
import { checkSources, parseStudy, sourcesOf, type StudyDefinition } from './definition'

export interface StudyParts {
  context: Context
  library: Library
  models: ModelService
  queue: RunQueue
  reports: ReportService
  experiments: ExperimentService
  tasks: TaskBoard
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

  /** The studies that come with Retort. */
  list(): StudyRow[] {
    return readdirSync(resource('studies'))
      .filter((file) => file.endsWith('.yaml'))
      .sort()
      .map((file) => {
        const study = file.slice(0, -'.yaml'.length)
        const source = dirname(fileOf(study))
        return { study, ...this.contents(read(study, source), source) }
      })
  }

  /**
   * What a study of one's own says; its relative paths begin in a folder that is named when it starts.
   *
   * @throws bad-input naming the field
   */
  read(definition: string): StudyContents {
    return this.contents(parseStudy(definition, OWN, ROOT), ROOT)
  }

  private contents(definition: StudyDefinition, source: string): StudyContents {
    const { runs, reports } = this.parts.context.catalogue.data
    const own = runs.filter(({ group, status }) => group === definition.name && status === 'completed')
    return {
      name: definition.name,
      description: definition.description,
      questions: definition.questions.map(({ ask }) => ask),
      teachers: definition.teachers.length,
      runs: definition.runs.length * definition.seeds.length,
      completed: new Set(own.map(({ name }) => name)).size,
      needs: sourcesOf(definition).map(({ path }) => relative(source, path)),
      report: reports.find(({ name }) => name === definition.name)?.id,
    }
  }

  /** @throws bad-input when the folder lacks what it needs, conflict when it is under way */
  start({ study, source }: ParsedParams<'studies.start'>): Task {
    const { tasks } = this.parts
    const definition =
      typeof study === 'string'
        ? this.known(study, source)
        : parseStudy(study.definition, OWN, source ?? ROOT)
    this.check(definition)
    const title = `Study: ${definition.name}`
    if (tasks.list().some((task) => task.title === title && task.status === 'running'))
      throw conflict('this study is under way')
    return tasks.start(title, (control) => this.run(definition, control)).row
  }

  private known(study: string, source: string | undefined): StudyDefinition {
    if (!this.list().some((row) => row.study === study)) throw notFound('study', study)
    return read(study, source ?? dirname(fileOf(study)))
  }

  /**
   * @param force also when a run needs more memory than may be had
   * @throws bad-input naming what its source folder lacks, before anything is written; or, before the first of its runs,
   *   the one that needs more memory than may be had
   */
  async run(study: StudyDefinition, control: TaskControl, force = false): Promise<StudyResult> {
    this.check(study)
    const began = Date.now()
    const cells = study.runs.length * study.seeds.length
    // A teacher's training, the scores of all, and a run take about as long as each other.
    const parts = study.teachers.filter((teacher) => 'train' in teacher).length + 1 + cells
    const taught = (parts - 1 - cells) / parts
    const scored = (parts - cells) / parts
    await this.importCorpora(study, within(control, 0, 0))
    await this.makeTeachers(study, within(control, 0, taught), force)
    await this.scoreTeachers(study, within(control, taught, scored))
    const runs = await this.runAll(study, within(control, scored, 1), force)
    const { reports } = this.parts
    const ids = runs.map(({ id }) => id)
    const old = reports.list().find(({ name }) => name === study.name)
    if (old) reports.remove(old.id)
    const report = reports.create(
      { runs: ids, name: study.name, format: 'html' },
      { questions: study.questions },
    )
    return {
      runs,
      report,
      answers: reports.answers(ids, study.questions),
      seconds: (Date.now() - began) / 1000,
    }
  }

  private check(study: StudyDefinition): void {
    const { corpora, teachers } = this.parts.library
    checkSources(study, new Set([...corpora, ...teachers].map(({ name }) => name)))
  }

  private async importCorpora({ corpora, tokenizers }: StudyDefinition, control: TaskControl): Promise<void> {
    const { library } = this.parts
    for (const corpus of corpora) {
      if (library.corpora.some(({ name }) => name === corpus.name)) continue
      if ('path' in corpus) await library.importCorpus(corpus, control)
      else await this.makeExercise(corpus, control)
    }
    for (const tokenizer of tokenizers) {
      if (!library.tokenizers.some(({ name }) => name === tokenizer.name))
        await library.trainTokenizer(tokenizer, control)
    }
  }

  private async makeExercise(
    { name, exercise, examples }: Extract<StudyDefinition['corpora'][number], { exercise: unknown }>,
    control: TaskControl,
  ): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'retort-'))
    try {
      const path = join(folder, `${name}.jsonl`)
      writeFileSync(path, exerciseLines(exercise, examples))
      await this.parts.library.importCorpus({ path, name, ...usualReading }, control)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  private async makeTeachers(
    { teachers }: StudyDefinition,
    control: TaskControl,
    force: boolean,
  ): Promise<void> {
    const { library, experiments } = this.parts
    for (const [i, teacher] of teachers.entries()) {
      const { name } = teacher
      const part = within(control, i / teachers.length, (i + 1) / teachers.length)
      if (library.teachers.some((row) => row.name === name)) continue
      if ('import' in teacher) await library.importTeacher({ path: teacher.import, name }, part)
      else if ('derive' in teacher) await library.deriveTeacher({ name, ...teacher.derive }, part)
      else {
        const run = experiments.startTeacher(stringify({ ...teacher.train, name }), undefined, force)
        await followRun(this.parts, run, `training ${name}`, part)
      }
    }
  }

  /** The matrix of teachers by corpora that the report shows. Exercises have no text but what a run's template makes of them. */
  private async scoreTeachers(
    { teachers, corpora, base }: StudyDefinition,
    control: TaskControl,
  ): Promise<void> {
    const { tokens } = parse(evaluation, base['evaluate'] ?? {}, 'base.evaluate')
    const names = (rows: readonly { name: string }[]) => rows.map(({ name }) => name)
    const read = names(corpora.filter((corpus) => 'path' in corpus))
    if (read.length) await this.parts.models.evaluate(names(teachers), read, { tokens, control })
  }

  private async runAll(study: StudyDefinition, control: TaskControl, force: boolean): Promise<Run[]> {
    const { name } = study
    const { queue, experiments } = this.parts
    const results: Run[] = []
    const cells = study.seeds.flatMap((seed) => study.runs.map((run) => ({ ...run, seed })))
    if (!force) {
      const configs = cells.map((cell) => this.resolved(study, cell))
      const left = configs.filter((config) => this.runOf(config)?.status !== 'completed')
      checkLargest(left, experiments.memoryLimit())
    }
    for (const [i, cell] of cells.entries()) {
      const config = this.resolved(study, cell)
      const known = this.runOf(config)
      if (known?.status === 'completed') results.push(known)
      else {
        const run =
          known && ['stopped', 'failed'].includes(known.status)
            ? queue.resume(known.id)
            : (known ?? queue.add(config, { group: name }))
        const part = within(control, i / cells.length, (i + 1) / cells.length)
        results.push(await followRun(this.parts, run, run.name, part))
      }
    }
    return results
  }

  private resolved(
    { name, base }: StudyDefinition,
    cell: StudyDefinition['runs'][number] & { seed: number },
  ) {
    const definition = structuredClone(base)
    for (const [path, value] of Object.entries(cell.set))
      override(definition, `${path}=${JSON.stringify(value)}`)
    for (const path of Object.keys(cell.set)) checkMethodLeaves(definition, path)
    const named = { ...definition, name: `${cell.name}, seed ${cell.seed}`, seed: cell.seed }
    const rows = libraryRows(this.parts.context)
    return resolveExperiment(parse(experiment, named, `${name}: ${cell.name}`), rows)
  }

  /** The run of this name that computes the same. */
  private runOf(config: RunConfig): Run | undefined {
    const digest = configDigest(config)
    const { name } = config.experiment
    return this.parts.context.catalogue.data.runs.find(
      (run) => run.name === name && run.kind === 'student' && this.digestOf(run) === digest,
    )
  }

  private digestOf({ id }: Run): string | undefined {
    const config = new RunFolder(this.parts.context.dataDir, id).config()
    return config && configDigest(config)
  }
}

/** What a study that is no file is called where something is wrong with it, and where its paths begin unless told. */
const OWN = 'the study'
const ROOT = parsePath(process.cwd()).root

const fileOf = (study: string) => join(resource('studies'), `${study}.yaml`)

function read(study: string, source: string): StudyDefinition {
  const file = fileOf(study)
  return parseStudy(readFileSync(file, 'utf8'), file, source)
}
