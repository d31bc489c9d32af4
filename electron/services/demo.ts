import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { z } from 'zod'
import {
  experiment,
  failed,
  numberOf,
  objectName,
  parse,
  teacherDefinition,
  type Measured,
  type ModelScore,
  type ReportRow,
  type Run,
} from '#contract'
import { libraryRows, type Context } from './context'
import {
  type ExperimentService,
  override,
  readYaml,
  resolveExperiment,
  resolveTeacher,
  resource,
} from './experiments'
import { followRun, type RunService } from './runs'
import type { Library, ModelService } from './library'
import { ascending } from './comparison'
import { checkLargest } from './memory'
import type { RunQueue } from './queue'
import type { ReportService } from './report'
import { type TaskControl, within } from './jobs'

const spec = z.strictObject({
  corpora: z.array(
    z.strictObject({ name: objectName, domain: z.string(), bytes: z.number().int(), seed: z.number().int() }),
  ),
  tokenizer: z.strictObject({ name: objectName, vocab: z.number().int() }),
  teachers: z.array(teacherDefinition),
  base: z.record(z.string(), z.unknown()),
  students: z.array(z.strictObject({ name: objectName, set: z.record(z.string(), z.unknown()) })),
})
type DemoSpec = z.output<typeof spec>

export interface DemoResult {
  runs: DemoRun[]
  teachers: string[]
  /** Teachers by corpora: held-out perplexity. */
  matrix: { teacher: string; perplexity: Record<string, Measured> }[]
  /** True entropy of each corpus, bits per byte. */
  floors: Record<string, number>
  report: string
  seconds: number
}

export interface DemoRun {
  id: string
  name: string
  method: Run['method']
  teachers: string[]
  perplexity: Measured | null
  bitsPerByte: Measured | null
  klToFused: Measured | null
  agreement: Measured | null
  tokensPerSecond: Measured | null
  /** Mean weight per teacher, by corpus name. */
  alpha: Record<string, Measured[]>
}

/** Stands in a student's settings for the teacher with the lowest mean held-out cross-entropy. */
const BEST_TEACHER = 'best-teacher'
/** Shares of the whole: text and tokenizer, teachers, their scores, students. Measured on the full demo. */
const PREPARED = 0.06
const TAUGHT = 0.46
const SCORED = 0.52

export interface DemoParts {
  context: Context
  library: Library
  models: ModelService
  queue: RunQueue
  runs: RunService
  reports: ReportService
  experiments: ExperimentService
}

/** The embedded main job: text, tokenizer, three specialists, a student and its twins, a report. */
export class Demo {
  constructor(private readonly parts: DemoParts) {}

  /**
   * @param options.force also when a run needs more memory than may be had
   * @throws bad-input, before the first teacher or the first student, when one does
   */
  async run(options: { quick: boolean; force?: boolean }, control: TaskControl): Promise<DemoResult> {
    const began = Date.now()
    const demo = readSpec(options.quick)
    await this.prepare(demo, control)
    const teachers = await this.teach(demo, control, options.force)
    const corpora = demo.corpora.map(({ name }) => name)
    const scores = await this.parts.models.evaluate(teachers, corpora, {
      tokens: parse(experiment, demo.base).evaluate.tokens,
      control: within(control, TAUGHT, SCORED),
    })
    const runs = await this.distil(demo, this.best(scores), control, options.force)
    const report = this.report(options.quick, runs)
    return this.result(demo, scores, runs, report, (Date.now() - began) / 1000)
  }

  /** Text and tokenizer; what is there from an earlier demo is used again. */
  private async prepare(demo: DemoSpec, control: TaskControl): Promise<void> {
    const { library } = this.parts
    const parts = demo.corpora.length + 1
    for (const [i, corpus] of demo.corpora.entries()) {
      const known = library.corpora.find(({ name }) => name === corpus.name)
      if (known && known.source !== `synthetic:${corpus.domain}`) throw foreign('corpus', corpus.name)
      if (!known)
        await library.generateCorpus(
          corpus,
          within(control, (PREPARED * i) / parts, (PREPARED * (i + 1)) / parts),
        )
    }
    const { name, vocab } = demo.tokenizer
    if (library.tokenizers.some((row) => row.name === name)) return
    const corpora = demo.corpora.map((corpus) => corpus.name)
    await library.trainTokenizer(
      { name, vocab, corpora },
      within(control, (PREPARED * (parts - 1)) / parts, PREPARED),
    )
  }

  private async teach(demo: DemoSpec, control: TaskControl, force = false): Promise<string[]> {
    const { library, queue, context, experiments } = this.parts
    const known = (name: string) => library.teachers.some((row) => row.name === name)
    const missing = demo.teachers.filter(({ name }) => !known(name))
    const configs = missing.map((definition) => resolveTeacher(definition, libraryRows(context)))
    if (!force) checkLargest(configs, experiments.memoryLimit())
    for (const [i, definition] of demo.teachers.entries()) {
      if (known(definition.name)) continue
      const run = queue.add(resolveTeacher(definition, libraryRows(context)), { group: 'demo' })
      const share = (TAUGHT - PREPARED) / demo.teachers.length
      const start = PREPARED + share * i
      await followRun(this.parts, run, `training ${definition.name}`, within(control, start, start + share))
    }
    return demo.teachers.map(({ name }) => name)
  }

  private best(scores: readonly ModelScore[]): string {
    const mean = (model: string) => {
      const own = scores.filter((score) => score.model === model)
      return own.reduce((sum, { crossEntropy }) => sum + numberOf(crossEntropy), 0) / own.length
    }
    const models = [...new Set(scores.map(({ model }) => model))]
    const best = models.reduce((a, b) => (ascending(mean(b), mean(a)) < 0 ? b : a))
    return this.parts.library.teachers.find(({ id }) => id === best)!.name
  }

  private async distil(demo: DemoSpec, best: string, control: TaskControl, force = false): Promise<Run[]> {
    const { experiments, queue, context } = this.parts
    const resolved = (definition: unknown) =>
      resolveExperiment(parse(experiment, definition), libraryRows(context))
    const configs = demo.students.map((student) => resolved(studentDefinition(demo, student, best)))
    if (!force) checkLargest(configs, experiments.memoryLimit())
    const group = `demo ${new Date().toISOString()}`
    const ended: Run[] = []
    for (const [i, student] of demo.students.entries()) {
      const definition = studentDefinition(demo, student, best)
      const known = experiments.list().find(({ name }) => name === student.name)
      const row = known ?? experiments.save({ definition: stringify(definition) }, true)
      const run = queue.add(resolved(definition), { group, experiment: row.id })
      const share = (1 - SCORED) / demo.students.length
      const start = SCORED + share * i
      ended.push(
        await followRun(this.parts, run, `training ${run.name}`, within(control, start, start + share)),
      )
    }
    return ended
  }

  private report(quick: boolean, runs: readonly Run[]): ReportRow {
    const name = quick
      ? 'Quick demo: four students of three teachers'
      : 'Demo: four students of three teachers'
    return this.parts.reports.create({ runs: runs.map(({ id }) => id), name, format: 'html' })
  }

  private async result(
    demo: DemoSpec,
    scores: readonly ModelScore[],
    runs: readonly Run[],
    report: ReportRow,
    seconds: number,
  ): Promise<DemoResult> {
    const { library, reports, runs: runService } = this.parts
    const corpora = demo.corpora.map(({ name }) => library.corpora.find((row) => row.name === name)!)
    const nameOf = new Map(corpora.map(({ id, name }) => [id, name]))
    const comparison = await runService.compare({ ids: runs.map(({ id }) => id) })
    return {
      runs: runs.map((run, i) => {
        const {
          perplexity = null,
          bitsPerByte = null,
          klToFused = null,
          agreement = null,
          tokensPerSecond = null,
        } = comparison.rows[i]!.values
        const alpha = Object.fromEntries(
          (run.evaluation?.corpora ?? []).flatMap((c) => (c.alpha ? [[nameOf.get(c.corpus)!, c.alpha]] : [])),
        )
        const { id, name, method } = run
        const teachers = run.teachers.map((teacher) => teacher.name)
        return {
          id,
          name,
          method,
          teachers,
          perplexity,
          bitsPerByte,
          klToFused,
          agreement,
          tokensPerSecond,
          alpha,
        }
      }),
      teachers: demo.teachers.map(({ name }) => name),
      matrix: demo.teachers.map(({ name }) => {
        const { id } = library.teachers.find((row) => row.name === name)!
        const own = scores.filter(({ model }) => model === id)
        return {
          teacher: name,
          perplexity: Object.fromEntries(own.map((s) => [nameOf.get(s.corpus!)!, s.perplexity])),
        }
      }),
      floors: Object.fromEntries(
        corpora.flatMap((c) => (c.entropyFloor === undefined ? [] : [[c.name, c.entropyFloor]])),
      ),
      report: reports.path(report),
      seconds,
    }
  }
}

function studentDefinition(demo: DemoSpec, student: DemoSpec['students'][number], best: string): unknown {
  const definition = structuredClone({ ...demo.base, name: student.name })
  for (const [path, value] of Object.entries(student.set)) {
    override(definition, `${path}=${JSON.stringify(value).replaceAll(BEST_TEACHER, best)}`)
  }
  return definition
}

function foreign(noun: string, name: string): Error {
  return failed(
    `the library has another ${noun} named "${name}", which the demo needs for itself; use another --data-dir`,
  )
}

function readSpec(quick: boolean): DemoSpec {
  const file = resource(`demo/${quick ? 'quick' : 'full'}.yaml`)
  return parse(spec, readYaml(readFileSync(file, 'utf8'), file), file)
}
