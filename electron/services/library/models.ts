import { isAbsolute } from 'node:path'
import {
  badInput,
  checkDtype,
  conflict,
  type CalibrateResult,
  layeredModel,
  type Calibration,
  type EvaluateResult,
  type ExportDtype,
  type ExportFormat,
  type ExportResult,
  type GenerateResult,
  type Int8Cost,
  type Int8Result,
  type ModelRef,
  type ModelScore,
  type ParsedParams,
  type Task,
} from '#contract'
import { paths, RunFolder } from '../../store'
import type { Context } from '../context'
import { find } from '../identity'
import {
  forwardProgress,
  type JobOf,
  type JobOptions,
  performJob,
  type TaskBoard,
  type TaskControl,
} from '../jobs'
import { TextStreams } from './textStreams'
import { keepCalibration, keepInt8Cost } from './keepCalibration'

type EvaluateJob = JobOf<'evaluate'>

export interface EvaluateOptions extends Pick<
  EvaluateJob,
  'tokens' | 'prompts' | 'continuations' | 'tasks' | 'examples' | 'divergence'
> {
  control?: TaskControl
}

export interface ExportOptions {
  format: ExportFormat
  /** Default: f32. */
  dtype?: ExportDtype
  /** Of ONNX, beside the logits. */
  hiddenStates?: boolean
  kvCache?: boolean
  out: string
  control?: TaskControl
}

/** Scoring and continuing with any model of the data directory: a run's best checkpoint, or a teacher. */
export class ModelService {
  readonly streams: TextStreams

  /** @param cardOf what the card of a model, or of its adapters alone, says; undefined where nothing is known of how it was made */
  constructor(
    private readonly context: Context,
    private readonly cardOf: (id: string, adapter: boolean) => string | undefined,
  ) {
    this.streams = new TextStreams(context.pushes)
  }

  ref(nameOrId: string): ModelRef & { id: string } {
    const { runs, teachers, tokenizers } = this.context.catalogue.data
    const teacher = teachers.find(({ id, name }) => id === nameOrId || name === nameOrId)
    if (teacher) {
      const folder = paths.libraryItem(this.context.dataDir, 'teachers', teacher.id)
      const tokenizer = find('tokenizer', tokenizers, teacher.tokenizer)
      return { id: teacher.id, name: teacher.name, folder, tokenizer }
    }
    const run = find('run or teacher', [...runs, ...teachers], nameOrId)
    const files = new RunFolder(this.context.dataDir, run.id)
    const best = files.bestCheckpoint()
    const config = files.config()
    if (!best || !config) throw conflict(`run "${run.name}" has no checkpoint yet`)
    return { id: run.id, name: run.name, folder: best.path, tokenizer: config.tokenizer }
  }

  generate({ stream, ...params }: ParsedParams<'models.generate'>): Promise<GenerateResult> {
    const { model, ...rest } = params
    const { id: _, ...ref } = this.ref(model)
    const write = (options: JobOptions) =>
      performJob<GenerateResult>(this.context, { kind: 'generate', model: ref, ...rest }, options)
    if (stream === undefined) return write({})
    return this.streams.follow(stream, (onText, signal) =>
      write({ signal, onEvent: (event) => event.type === 'text' && onText(event.text, event.token) }),
    )
  }

  /** Scores models on corpora's held-out splits and keeps the scores: the matrix of the teachers' page. */
  async evaluate(
    models: readonly string[],
    corpora: readonly string[],
    options: EvaluateOptions = {},
  ): Promise<ModelScore[]> {
    const refs = models.map((model) => this.ref(model))
    const rows = corpora.map((corpus) => find('corpus', this.context.catalogue.data.corpora, corpus))
    const { scores } = await performJob<EvaluateResult>(
      this.context,
      {
        kind: 'evaluate',
        models: refs.map(({ id: _, ...ref }) => ref),
        corpora: rows,
        ...wanted(options),
      },
      options.control && heeding(options.control),
    )
    // The worker speaks of models by name and number; the library's key is the id, and results come model by model.
    const idOf = (number: number) => refs[number]!.id
    const byId = scores.map(({ kl, ...score }, i) => ({
      ...score,
      model: idOf(Math.floor(i / rows.length)),
      ...(kl && { kl: Object.fromEntries(Object.entries(kl).map(([j, value]) => [idOf(Number(j)), value])) }),
    }))
    this.keep(byId)
    return byId
  }

  /** Fits teachers' temperatures on the calibration splits of corpora, equally weighed, and keeps them. */
  async calibrate(
    teachers: readonly string[],
    corpora: readonly string[],
    control?: TaskControl,
  ): Promise<{ teacher: string; calibration: Calibration }[]> {
    const { data } = this.context.catalogue
    const rows = teachers.map((teacher) => find('teacher', data.teachers, teacher))
    const mixture = corpora.map((corpus) => ({ weight: 1, row: find('corpus', data.corpora, corpus) }))
    const models = rows.map(({ id }) => this.ref(id)).map(({ id: _, ...ref }) => ref)
    const { calibrations } = await performJob<CalibrateResult>(
      this.context,
      { kind: 'calibrate', models, corpora: mixture },
      control && heeding(control),
    )
    for (const [i, calibration] of calibrations.entries())
      keepCalibration(this.context, rows[i]!.id, calibration)
    return calibrations.map((calibration, i) => ({ teacher: rows[i]!.name, calibration }))
  }

  /** Measures what teachers' matrices in 8 bits cost on the held-out text of corpora, and keeps it with them. */
  async measureInt8(
    teachers: readonly string[],
    corpora: readonly string[],
    control?: TaskControl,
  ): Promise<{ teacher: string; cost: Int8Cost }[]> {
    const { data } = this.context.catalogue
    const rows = teachers.map((teacher) => find('teacher', data.teachers, teacher))
    for (const row of rows) layeredModel(row)
    const models = rows.map(({ id }) => this.ref(id)).map(({ id: _, ...ref }) => ref)
    const texts = corpora.map((corpus) => find('corpus', data.corpora, corpus))
    const { costs } = await performJob<Int8Result>(
      this.context,
      { kind: 'measure-int8', models, corpora: texts },
      control && heeding(control),
    )
    for (const [i, cost] of costs.entries()) keepInt8Cost(this.context, rows[i]!.id, cost)
    return costs.map((cost, i) => ({ teacher: rows[i]!.name, cost }))
  }

  /** Scores a text file whole. */
  async scoreText(model: string, text: string, options: EvaluateOptions = {}): Promise<ModelScore> {
    const { id: _, ...ref } = this.ref(model)
    const { scores } = await performJob<EvaluateResult>(this.context, {
      kind: 'evaluate',
      models: [ref],
      text,
      ...wanted(options),
    })
    return scores[0]!
  }

  /**
   * Writes a model for other tools.
   *
   * @throws bad-input where the format is not written so
   */
  async export(model: string, options: ExportOptions): Promise<ExportResult> {
    const { control, dtype = 'f32', hiddenStates = false, kvCache = false, format, out } = options
    for (const [asked, what, field] of [
      [hiddenStates, 'hidden states are outputs', '--hidden-states'],
      [kvCache, 'keys and values are inputs and outputs', '--kv-cache'],
    ] as const)
      if (asked && format !== 'onnx')
        throw badInput(`${what} of an ONNX file`, { field, expected: '--format onnx' })
    checkDtype(format, dtype)
    if (!isAbsolute(out))
      throw badInput(`"${out}" is no folder to write to`, { field: 'out', expected: 'an absolute path' })
    const { id, ...ref } = this.ref(model)
    const card = format === 'hf' || format === 'peft' ? this.cardOf(id, format === 'peft') : undefined
    return performJob(
      this.context,
      { kind: 'export', model: ref, format, dtype, hiddenStates, kvCache, card, out },
      control && heeding(control),
    )
  }

  /** The same as a task; what cannot be exported is refused at once. */
  startExport({ model, ...options }: ParsedParams<'models.export'>, tasks: TaskBoard): Task {
    const { name } = this.ref(model)
    const started = tasks.start(`Export ${name}`, async (control) => {
      const result = await this.export(model, { ...options, control })
      if (result.warnings.length) started.row.warnings = result.warnings
      return result
    })
    return started.row
  }

  private keep(scores: readonly ModelScore[]): void {
    this.context.catalogue.update((data) => {
      const replaced = (old: ModelScore) =>
        scores.some((score) => score.model === old.model && score.corpus === old.corpus)
      data.scores = [...data.scores.filter((old) => !replaced(old)), ...scores]
      for (const { model, corpus, perplexity } of scores) {
        const teacher = data.teachers.find(({ id }) => id === model)
        if (teacher && corpus) teacher.perplexity[corpus] = perplexity
      }
    })
    this.context.pushes.push({ topic: 'library', noun: 'teachers' })
  }
}

/** Stops when the task is stopped, and tells it how far the job is. */
function heeding({ signal, progress }: TaskControl): JobOptions {
  return { signal, onEvent: forwardProgress(progress) }
}

function wanted({ control: _, ...options }: EvaluateOptions): Omit<EvaluateOptions, 'control'> {
  return options
}
