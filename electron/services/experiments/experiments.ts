import {
  conflict,
  KEPT_VERSIONS,
  methodSettings,
  problemsOf,
  RetortError,
  together,
  type AlarmSignature,
  type Estimate,
  type Experiment,
  type ExperimentRow,
  type ExperimentVersion,
  type ParsedParams,
  type Result,
  type Run,
  type RunConfig,
  type StoredExperiment,
} from '#contract'
import { isDeepStrictEqual } from 'node:util'
import { isMap, parseDocument, stringify } from 'yaml'
import { RunFolder } from '../../store'
import { libraryRows, type Context } from '../context'
import { overrideText, parseExperiment, parseTeacher } from './definition'
import { estimateRun, type MeasuredRun } from './estimate'
import { checkFree, find, freeName, newId } from '../identity'
import { checkMemory, memoryAdvice, memoryLimit } from '../memory'
import type { RunOrigin, RunQueue } from '../queue'
import { unknownNames } from './names'
import { resolveExperiment, resolveTeacher } from './resolve'

const versionOf = ({ definition, updatedAt }: ExperimentRow): ExperimentVersion => ({
  definition,
  savedAt: updatedAt,
})

/** Definitions in the library, and what starts runs of them. */
export class ExperimentService {
  constructor(
    private readonly context: Context,
    private readonly queue: RunQueue,
  ) {}

  list(): ExperimentRow[] {
    return this.stored.map(({ versions: _, ...row }) => row)
  }

  private get stored(): readonly StoredExperiment[] {
    return this.context.catalogue.data.experiments
  }

  get(id: string): ExperimentRow {
    return find('experiment', this.list(), id)
  }

  versions(id: string): ExperimentVersion[] {
    return find('experiment', this.stored, id).versions ?? []
  }

  /** @throws conflict where it was changed by somebody else, or the name is another's */
  save({ id, definition, since }: ParsedParams<'experiments.save'>, builtIn = false): ExperimentRow {
    const { name } = parseExperiment(definition)
    const now = new Date().toISOString()
    const old = id === undefined ? undefined : find('experiment', this.stored, id)
    if (old && since !== undefined && since !== old.updatedAt)
      throw conflict(`experiment "${old.name}" was changed elsewhere meanwhile, at ${old.updatedAt}`)
    if (old?.name !== name) checkFree('experiment', this.list(), name)
    const before = old && old.definition !== definition ? [versionOf(old)] : []
    const versions = [...before, ...(old?.versions ?? [])].slice(0, KEPT_VERSIONS)
    const row: ExperimentRow = {
      id: old?.id ?? newId(name, this.list()),
      name,
      definition,
      builtIn: old ? false : builtIn,
      createdAt: old?.createdAt ?? now,
      updatedAt: now,
    }
    this.context.catalogue.update((data) => {
      const kept = { ...row, ...(versions.length && { versions }) }
      data.experiments = [...data.experiments.filter(({ id }) => id !== row.id), kept]
    })
    this.changed()
    return row
  }

  /** A copy under a free name; the text keeps its comments. */
  duplicate(id: string): ExperimentRow {
    const { name, definition } = this.get(id)
    const document = parseDocument(definition)
    if (isMap(document.contents)) document.set('name', freeName(this.list(), `${name}-copy`))
    return this.save({ definition: document.toString() })
  }

  /** A definition that goes on from a run, under a free name, for its teachers to be changed. */
  continueRun(id: string): ExperimentRow {
    const run = find('run', this.context.catalogue.data.runs, id)
    const config = new RunFolder(this.context.dataDir, run.id).config()
    if (!config) throw conflict(`run "${run.name}" has no folder`)
    const settings = [
      `name=${JSON.stringify(freeName(this.list(), `${run.name}-continued`))}`,
      // Named, for it is no longer the teachers' affair: they may all be taken away.
      `tokenizer=${JSON.stringify(config.tokenizer.name)}`,
      `continue={ run: ${run.id} }`,
    ]
    return this.save({ definition: overrideText(this.written(run, config.experiment), settings) })
  }

  check({ definition }: ParsedParams<'experiments.check'>): Result<'experiments.check'> {
    try {
      const resolved = this.parsed(parseExperiment, definition)
      try {
        const config = resolveExperiment(resolved, libraryRows(this.context))
        return { problems: [], resolved, estimate: this.estimate(config) }
      } catch (error) {
        return { problems: problemsOf(error), resolved }
      }
    } catch (error) {
      return { problems: problemsOf(error) }
    }
  }

  checkTeacher({ definition }: ParsedParams<'teachers.check'>): Result<'teachers.check'> {
    try {
      return { problems: [], estimate: this.estimate(this.resolvedTeacher(definition)) }
    } catch (error) {
      return { problems: problemsOf(error) }
    }
  }

  private estimate(config: RunConfig): Estimate {
    return {
      ...estimateRun(config, this.measured()),
      memoryAdvice: memoryAdvice(config, this.memoryLimit()),
    }
  }

  /** @throws bad-input with all that is wrong with it: names that the library does not have too */
  private parsed<T>(parse: (text: string, file?: string) => T, text: string, file?: string): T {
    try {
      return parse(text, file)
    } catch (error) {
      if (!(error instanceof RetortError)) throw error
      throw together([error, ...unknownNames(text, libraryRows(this.context), file)])
    }
  }

  start(
    { id, definition, name, force }: ParsedParams<'experiments.start'>,
    origin: RunOrigin = {},
    file?: string,
  ): Run {
    const row = id === undefined ? undefined : this.get(id)
    const parsed = this.parsed(parseExperiment, definition ?? row?.definition ?? '', file)
    const config = resolveExperiment(parsed, libraryRows(this.context), file, name)
    if (!force) checkMemory(config, this.memoryLimit(), { file })
    return this.queue.add(config, { experiment: row?.id, ...origin })
  }

  /** @param force also when it needs more memory than may be had */
  startTeacher(definition: string, file?: string, force = false): Run {
    const config = this.resolvedTeacher(definition, file)
    if (!force) checkMemory(config, this.memoryLimit(), { file })
    return this.queue.add(config)
  }

  private resolvedTeacher(definition: string, file?: string): RunConfig {
    const parsed = this.parsed(parseTeacher, definition, file)
    checkFree('teacher', this.context.catalogue.data.teachers, parsed.name)
    return resolveTeacher(parsed, libraryRows(this.context), file)
  }

  /**
   * A copy of what a run was started from, with the mend of its alarm applied.
   *
   * @throws conflict when the run has raised no such alarm, or one that no setting mends
   */
  mend(runId: string, signature: AlarmSignature): ExperimentRow {
    const { catalogue, dataDir } = this.context
    const run = find('run', catalogue.data.runs, runId)
    const folder = new RunFolder(dataDir, run.id)
    const config = folder.config()
    const alarm = folder.log().findLast((entry) => entry.alarm?.signature === signature)?.alarm
    if (!config || !alarm) throw conflict(`run "${run.name}" has raised no alarm "${signature}"`)
    if (!alarm.mend.length) throw conflict(`no setting mends this: ${alarm.advice}`)
    const name = freeName(this.list(), `${config.experiment.name}-mended`)
    return this.save({
      definition: overrideText(this.mendable(run, config.experiment, alarm.mend), [
        ...alarm.mend,
        `name=${JSON.stringify(name)}`,
      ]),
    })
  }

  /** What a run did, as a text that settings can be added to: a method that fixes one of them is written out. */
  private mendable(run: Run, definition: Experiment, settings: readonly string[]): string {
    const { method, ...rest } = definition
    const fixed = method ? Object.keys(methodSettings[method]) : []
    const opposed = settings.some((setting) => fixed.includes(setting.split('=')[0]!))
    return opposed ? stringify(rest) : this.written(run, definition)
  }

  /** The text that a person wrote, comments and all, as long as it still says what the run did. */
  private written(run: Run, definition: Experiment): string {
    const text = this.list().find(({ id }) => id === run.experiment)?.definition
    return text && says(text, definition) ? text : stringify(definition)
  }

  /** MB that a new run may have. */
  memoryLimit(): number {
    return memoryLimit(this.context.catalogue.data.settings.memoryGb)
  }

  /** Recent runs of this machine with what they were, to tell speeds from. */
  measured(): MeasuredRun[] {
    const { runs } = this.context.catalogue.data
    const here = runs.filter(({ step, cluster }) => step > 0 && cluster === undefined)
    return here.slice(-20).flatMap((row) => {
      const config = new RunFolder(this.context.dataDir, row.id).config()
      return config ? [{ config, row }] : []
    })
  }

  private changed(): void {
    this.context.pushes.push({ topic: 'library', noun: 'experiments' })
  }
}

/** Whether a text still means the definition; one that no longer parses does not. */
function says(text: string, definition: Experiment): boolean {
  try {
    return isDeepStrictEqual(parseExperiment(text), definition)
  } catch {
    return false
  }
}
