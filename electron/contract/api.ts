import { z } from 'zod'
import { alarmSignatures } from './alarm'
import { backends, experiment, objectName } from './experiment'
import { cacheCleared, cacheEntry } from './cache'
import { clusterCheck, clusterJob, clusterProfile } from './cluster'
import { gridExport, gridExportFormats, gridFigures, gridResults } from './gridResults'
import { grid, gridEstimate, gridPreset, gridRow } from './grid'
import { generateResult, modelScore, selfTestResult } from './job'
import { corpus, corpusFormats, digest, id, teacher, timestamp, tokenizer } from './library'
import { loggedEvent } from './job'
import { disagreementPage } from './disagreement'
import { memoryAdvice } from './outOfMemory'
import { evaluationDetail, evaluationRecord, stepRecord } from './metrics'
import { checkpoint, environment, run, runConfig } from './run'
import { errorShape } from './errors'
import { studyRow } from './study'

const none = z.strictObject({})
const byId = z.strictObject({ id })
const byName = z.strictObject({ name: objectName })
/** One metric over settings, axes and seeds; `rows` and `columns` are axes' paths, `baseline` a setting's key. */
const resultsQuery = z.strictObject({
  id,
  metric: z.string().optional(),
  baseline: z.string().optional(),
  rows: z.string().optional(),
  columns: z.string().optional(),
})
/** The cluster that computes a grid's cells; absent: this machine. */
const onCluster = objectName.optional()
/** Starts it also when it needs more memory than may be had. */
const forced = z.boolean().optional()
/** A preset on an experiment (a name or an id). */
const presetOn = {
  preset: objectName,
  experiment: z.string().min(1),
  name: objectName.optional(),
  seeds: grid.shape.seeds.optional(),
  halving: grid.shape.halving,
}
const ids = z.strictObject({ ids: z.array(id).min(1) })

/** An experiment of the library; `definition` is kept as the person wrote it, defaults not filled in. */
export const experimentRow = z.strictObject({
  id,
  name: objectName,
  /** YAML. */
  definition: z.string(),
  /** Shipped with the demo; edited copies are not. */
  builtIn: z.boolean().default(false),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type ExperimentRow = z.output<typeof experimentRow>

/** Library work that is not a run: imports, generation, tokenizer training, evaluations, the demo as a whole. */
export const task = z.strictObject({
  id,
  title: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'stopped']),
  phase: z.string(),
  fraction: z.number(),
  secondsLeft: z.number().optional(),
  error: errorShape.optional(),
  startedAt: timestamp,
})
export type Task = z.output<typeof task>

export const reportFormats = ['html', 'pdf', 'md', 'tex', 'csv', 'json'] as const

export const reportRow = z.strictObject({
  id,
  name: objectName,
  format: z.enum(reportFormats),
  runs: z.array(id),
  /** File name below `<data dir>/reports/`. */
  file: z.string(),
  bytes: z.number(),
  createdAt: timestamp,
})
export type ReportRow = z.output<typeof reportRow>

export const settings = z.strictObject({
  /** Where workers run: Electron's utility process, or a plain Node process (see `launcherReason`). */
  launcher: z.enum(['auto', 'utility', 'node']).default('auto'),
  /** Intra-op threads of a worker; 0: as many as there are cores. */
  threads: z.number().int().nonnegative().default(0),
  /** What computes, where a definition leaves it open. */
  backend: z.enum(backends).default('auto'),
  /** Most memory that a run may need; 0: what the machine has left. */
  memoryGb: z.number().nonnegative().default(0),
  /** Runs computed at the same time. */
  concurrency: z.number().int().positive().default(1),
  /** The teacher-output cache: what is longest unused goes first, above this size or after so many days. */
  cacheGb: z.number().positive().default(20),
  cacheDays: z.number().positive().default(30),
  /** The queue starts nothing while this is set; what runs goes on. */
  queuePaused: z.boolean().default(false),
  colorMode: z.enum(['system', 'light', 'dark']).default('system'),
})
export type Settings = z.output<typeof settings>

export const appInfo = z.object({
  version: z.string(),
  host: z.enum(['desktop', 'web']),
  dataDir: z.string(),
  node: z.string(),
  platform: z.string(),
  cores: z.number(),
  memoryGb: z.number(),
  /** What starts the workers, and why if it is not the first choice. */
  launcher: z.enum(['utility', 'node']),
  launcherReason: z.string().optional(),
  backends: selfTestResult.shape.backends,
  /** The demo's state in this data directory. */
  demo: z.enum(['absent', 'partial', 'present']),
})
export type AppInfo = z.output<typeof appInfo>

/** A metric of several runs beside each other. `better` says which direction is good, if one is. */
export const comparisonColumn = z.object({
  key: z.string(),
  title: z.string(),
  unit: z.string(),
  better: z.enum(['lower', 'higher', 'neither']),
})
export const comparisonRow = z.object({
  run: id,
  name: z.string(),
  method: z.string(),
  values: z.record(z.string(), z.number().nullable()),
  /** value - baseline's value. */
  differences: z.record(z.string(), z.number().nullable()),
  /**
   * 95 % intervals of those differences that can be bootstrapped over held-out documents; `real` is false where the
   * interval holds 0 or the Holm-corrected p is 0.05 or more: no difference.
   */
  intervals: z.record(
    z.string(),
    z.object({ low: z.number(), high: z.number(), p: z.number(), real: z.boolean() }),
  ),
})
export const comparison = z.object({
  baseline: id,
  columns: z.array(comparisonColumn),
  rows: z.array(comparisonRow),
  /** Only the settings that are not the same in all runs: dotted path, then a value per run in the rows' order. */
  configDiff: z.array(z.object({ path: z.string(), values: z.array(z.unknown()) })),
  best: z.record(z.string(), id),
})
export type Comparison = z.output<typeof comparison>
export type ComparisonColumn = z.output<typeof comparisonColumn>
export type ComparisonRow = z.output<typeof comparisonRow>

/** What a run will cost, from the speed measured on this machine so far. */
export const estimate = z.object({
  parameters: z.number(),
  tokensPerStep: z.number(),
  flopsPerStep: z.number(),
  /** Absent until a run was measured here. */
  seconds: z.number().optional(),
  /** Most that its process will have. */
  memoryMb: z.number(),
  /** When that is more than may be had. */
  memoryAdvice: memoryAdvice.optional(),
  diskMb: z.number(),
})
export type Estimate = z.output<typeof estimate>

export const metricsPage = z.object({
  steps: z.array(stepRecord),
  evaluations: z.array(evaluationRecord),
})

function method<P extends z.ZodType, R extends z.ZodType>(params: P, result: R) {
  return { params, result }
}

/** Every method that a host offers. Parameters are parsed at the boundary, results are trusted. */
export const api = {
  'app.info': method(none, appInfo),
  'settings.get': method(none, settings),
  'settings.set': method(settings.partial(), settings),

  'experiments.list': method(none, z.array(experimentRow)),
  'experiments.get': method(byId, experimentRow),
  /** Creates without `id`, replaces with it. The definition must parse; names in it need not exist yet. */
  'experiments.save': method(z.strictObject({ id: id.optional(), definition: z.string() }), experimentRow),
  'experiments.duplicate': method(byId, experimentRow),
  /** An edited copy of a run's definition that goes on from its best checkpoint: change its teachers, then start it. */
  'experiments.continue': method(z.strictObject({ run: id }), experimentRow),
  'experiments.remove': method(byId, none),
  /** Parses YAML without saving: every problem, and the definition with its defaults when there is none. */
  'experiments.check': method(
    z.strictObject({ definition: z.string() }),
    z.object({
      problems: z.array(errorShape),
      resolved: experiment.optional(),
      estimate: estimate.optional(),
    }),
  ),
  /** Queues a run of it; refused before anything is written when a name or a digest does not hold. */
  'experiments.start': method(
    z.strictObject({
      id: id.optional(),
      definition: z.string().optional(),
      name: objectName.optional(),
      force: forced,
    }),
    run,
  ),

  'grids.list': method(none, z.array(gridRow)),
  'grids.get': method(byId, gridRow),
  /** Creates without `id`, replaces with it; `base` is a name in the library, or inline. Cells keep their runs. */
  'grids.save': method(z.strictObject({ id: id.optional(), definition: z.string() }), gridRow),
  /** Parses and expands YAML without saving; the problem names the axis. */
  'grids.check': method(
    z.strictObject({ definition: z.string() }),
    z.object({
      problems: z.array(errorShape),
      resolved: grid.optional(),
      estimate: gridEstimate.optional(),
    }),
  ),
  /** What a grid will cost before it is started: one of the library, one given whole, or a preset on an experiment. */
  'grids.estimate': method(
    z.union([byId, z.strictObject({ definition: z.string() }), z.strictObject(presetOn)]),
    gridEstimate,
  ),
  /**
   * Starts a grid of the library, one given whole, or a preset on an experiment (a name or an id); ends in a report.
   * Cells that are done are kept, whichever grid did them. Refused when the largest of those that this machine is to
   * compute needs more memory than may be had.
   */
  'grids.start': method(
    z.union([
      z.strictObject({ id, cluster: onCluster, force: forced }),
      z.strictObject({ definition: z.string(), cluster: onCluster, force: forced }),
      z.strictObject({ ...presetOn, cluster: onCluster, force: forced }),
    ]),
    gridRow,
  ),
  /** Pauses its running cells and starts no further ones; `resume` goes on, also after `stop` and with failed cells. */
  'grids.pause': method(byId, gridRow),
  'grids.resume': method(byId, gridRow),
  /** Its running cells make a checkpoint and end. */
  'grids.stop': method(byId, gridRow),
  /** Removes the grid; its runs stay. */
  'grids.remove': method(byId, none),
  'grids.presets': method(none, z.array(gridPreset)),
  'grids.results': method(resultsQuery, gridResults),
  /**
   * The results as a file: every cell, seed and metric in a row (csv), tables of mean ± sd (latex), or a figure (svg).
   */
  'grids.export': method(
    resultsQuery.extend({
      format: z.enum(gridExportFormats),
      figure: z.enum(gridFigures).default('heatmap'),
    }),
    gridExport,
  ),

  /** The teacher-output cache, the longest unused first. */
  'cache.list': method(none, z.array(cacheEntry)),
  /** Removes entries, by default all; those in use stay. */
  'cache.clear': method(z.strictObject({ keys: z.array(digest).optional() }), cacheCleared),

  'clusters.list': method(none, z.array(clusterProfile)),
  /** The profile's YAML, as the person wrote it. */
  'clusters.get': method(byName, z.object({ definition: z.string() })),
  /** Adds a profile, or replaces the one of its name. */
  'clusters.save': method(z.strictObject({ definition: z.string() }), clusterProfile),
  'clusters.remove': method(byName, none),
  'clusters.test': method(byName, clusterCheck),
  /** The tasks of a grid's cells: the latest of each run that was ever handed to a cluster. */
  'clusters.jobs': method(z.strictObject({ grid: id }), z.array(clusterJob)),

  'corpora.list': method(none, z.array(corpus)),
  'corpora.import': method(
    z.strictObject({
      path: z.string().min(1),
      name: objectName.optional(),
      format: z.enum(['auto', ...corpusFormats]).default('auto'),
      field: z.string().default('text'),
    }),
    task,
  ),
  'corpora.remove': method(byId, none),
  'corpora.preview': method(
    z.strictObject({
      id,
      offset: z.number().int().nonnegative().default(0),
      count: z.number().int().max(50).default(10),
    }),
    z.object({ documents: z.array(z.string()), total: z.number() }),
  ),

  'tokenizers.list': method(none, z.array(tokenizer)),

  'teachers.list': method(none, z.array(teacher)),
  'teachers.import': method(
    z.strictObject({
      path: z.string().min(1),
      name: objectName.optional(),
      tokenizerPath: z.string().optional(),
    }),
    task,
  ),
  /** Trains a teacher: a run of kind `teacher`, in the library when it completes. */
  'teachers.train': method(z.strictObject({ definition: z.string() }), run),
  'teachers.remove': method(byId, none),
  /** Fills in the matrix teachers x corpora. */
  'teachers.evaluate': method(z.strictObject({ ids: z.array(id).min(1), corpora: z.array(id).min(1) }), task),

  /** Fits their temperatures on the calibration splits of corpora, equally weighed. */
  'teachers.calibrate': method(
    z.strictObject({ ids: z.array(id).min(1), corpora: z.array(id).min(1) }),
    task,
  ),

  'runs.list': method(none, z.array(run)),
  'runs.get': method(
    byId,
    z.object({ run, config: runConfig.optional(), environment: environment.optional() }),
  ),
  /** Steps after `afterStep`, at most `points` of them evenly thinned (evaluations are never thinned). */
  'runs.metrics': method(
    z.strictObject({
      id,
      /** -1: from the start, with a continued run's evaluation at step 0. */
      afterStep: z.number().int().default(-1),
      points: z.number().int().positive().default(2000),
    }),
    metricsPage,
  ),
  /** What the evaluation at the last step found out beyond its record; nothing before. */
  'runs.evaluation': method(byId, z.object({ detail: evaluationDetail.optional() })),
  /**
   * Where a run's teachers disagree: held-out documents from `first` on, read by its best checkpoint. What is not known
   * yet is computed by a task; asked again when that has completed, the page is there.
   */
  'runs.disagreement': method(
    z.strictObject({
      id,
      /** Default: the run's first corpus. */
      corpus: id.optional(),
      first: z.number().int().nonnegative().default(0),
    }),
    z.union([z.object({ page: disagreementPage }), z.object({ task })]),
  ),
  'runs.log': method(byId, z.array(loggedEvent)),
  'runs.checkpoints': method(byId, z.array(checkpoint)),
  'runs.pause': method(byId, run),
  'runs.continue': method(byId, run),
  'runs.stop': method(byId, run),
  /** Goes on from the last checkpoint of a stopped, failed or crashed run. */
  'runs.resume': method(byId, run),
  'runs.rename': method(z.strictObject({ id, name: objectName }), run),
  'runs.remove': method(byId, none),
  /** An experiment in the library that is this run's definition with the mend of its alarm applied. */
  'runs.mend': method(z.strictObject({ id, signature: z.enum(alarmSignatures) }), experimentRow),
  /** Moves a waiting run before another one, or to the end; it takes that one's priority. */
  'runs.reorder': method(z.strictObject({ id, before: id.optional() }), run),
  /** Higher goes first. */
  'runs.prioritise': method(z.strictObject({ id, priority: z.number().int() }), run),
  'runs.compare': method(ids.extend({ baseline: id.optional() }), comparison),

  'reports.list': method(none, z.array(reportRow)),
  'reports.create': method(
    z.strictObject({
      runs: z.array(id).min(1),
      name: objectName.optional(),
      format: z.enum(reportFormats).default('html'),
    }),
    reportRow,
  ),
  'reports.get': method(byId, z.object({ row: reportRow, content: z.string() })),
  'reports.remove': method(byId, none),

  'studies.list': method(none, z.array(studyRow)),
  /**
   * Does a study on the data of a source folder, as a task that ends in a report. What the library and earlier, stopped
   * attempts have is used again.
   */
  'studies.start': method(z.strictObject({ study: z.string(), source: z.string().min(1) }), task),

  'tasks.list': method(none, z.array(task)),
  'tasks.stop': method(byId, task),
  'demo.start': method(z.strictObject({ quick: z.boolean().default(false) }), task),
  /** A model is a run (its best checkpoint) or a teacher. */
  'models.generate': method(
    z.strictObject({
      model: id,
      prompt: z.string(),
      tokens: z.number().int().positive().max(2000).default(100),
      temperature: z.number().nonnegative().default(0),
      topP: z.number().positive().max(1).default(1),
      seed: z.number().int().default(1),
    }),
    generateResult,
  ),
  'models.scores': method(none, z.array(modelScore)),
} as const

export type Api = typeof api
export type MethodName = keyof Api
export type Params<M extends MethodName> = z.input<Api[M]['params']>
export type ParsedParams<M extends MethodName> = z.output<Api[M]['params']>
export type Result<M extends MethodName> = z.output<Api[M]['result']>
/** What every host calls and what the page is given: one function per method. */
export type Call = <M extends MethodName>(name: M, params: Params<M>) => Promise<Result<M>>

/** What a host pushes to the page, unasked. Every push has a sequence number so that a page can resume. */
export const push = z.discriminatedUnion('topic', [
  z.object({ topic: z.literal('run'), run }),
  z.object({ topic: z.literal('run-removed'), id }),
  z.object({ topic: z.literal('grid'), grid: gridRow }),
  z.object({ topic: z.literal('grid-removed'), id }),
  z.object({ topic: z.literal('steps'), id, records: z.array(stepRecord) }),
  z.object({ topic: z.literal('evaluation'), id, record: evaluationRecord }),
  z.object({ topic: z.literal('log'), id, entry: loggedEvent }),
  z.object({ topic: z.literal('checkpoint'), id, checkpoint }),
  z.object({ topic: z.literal('task'), task }),
  /** A list of the library has changed: fetch it again. */
  z.object({
    topic: z.literal('library'),
    noun: z.enum(['experiments', 'corpora', 'tokenizers', 'teachers', 'reports', 'settings']),
  }),
])
export type Push = z.output<typeof push>

/**
 * Frames of the WebSocket (text, JSON). The client's first frame is `hello`; after a reconnection it carries the last
 * sequence number it has seen, and the host repeats what was missed or says that it is `lost`: fetch everything anew.
 */
export const clientFrame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), token: z.string(), since: z.number().int().optional() }),
  z.object({ type: z.literal('call'), id: z.number().int(), name: z.string(), params: z.unknown() }),
])
export type ClientFrame = z.output<typeof clientFrame>
export type HostFrame =
  | { type: 'welcome'; seq: number; lost?: boolean }
  | { type: 'refused'; message: string }
  | ({ type: 'result'; id: number } & CallResult)
  | ({ type: 'push' } & NumberedPush)

export type CallResult = { ok: true; result: unknown } | { ok: false; error: z.output<typeof errorShape> }
export interface NumberedPush {
  seq: number
  push: Push
}

/** What the preload script exposes as `window.retort`. */
export interface Bridge {
  call(name: string, params: unknown): Promise<CallResult>
  /** Returns the function that ends it. */
  onPush(listener: (seq: number, push: Push) => void): () => void
  since(seq: number): Promise<{ pushes: NumberedPush[] } | { lost: true }>
  /** Native dialog; absent in a browser, where a path is typed. */
  pickPath?(kind: 'file' | 'folder'): Promise<string | undefined>
}

export const ipcChannels = {
  call: 'retort:call',
  push: 'retort:push',
  since: 'retort:since',
  pickPath: 'retort:pick-path',
} as const
