import { availableParallelism, totalmem } from 'node:os'
import {
  api,
  badInput,
  nearest,
  parse,
  rowOfRun,
  VERSION,
  type AppInfo,
  type Call,
  type MethodName,
  type NumberedPush,
  type ParsedParams,
  type Push,
  type Result,
} from '#contract'
import { Catalogue, takeLock } from '../store'
import { Bin } from './bin'
import { browse } from './browse'
import { ClusterService } from './clusters'
import { threadsOf, type Context } from './context'
import { Demo } from './demo'
import { DisagreementService, RunService } from './runs'
import { ExperimentService } from './experiments'
import { GridAnalysis, GridService, listPresets } from './grids'
import { PushLog, TaskBoard } from './jobs'
import { Library, ModelService, TeacherCache } from './library'
import { RunQueue } from './queue'
import { ReportService } from './report'
import { Study } from './study'
import { findBackends } from './backends'
import type { SpawnWorker } from './worker'

export interface ServiceOptions {
  dataDir: string
  spawnWorker: SpawnWorker
  host: 'desktop' | 'web' | 'cli'
  /** What starts the workers, and why if it is not the first choice. */
  launcher?: { kind: 'utility' | 'node'; reason?: string }
  /** `read` takes no lock: for commands that only look, beside an open app. */
  access?: 'read' | 'write'
}

/** The rooms behind the API, for a host that needs more than it: the command line. */
export interface Rooms {
  context: Context
  library: Library
  models: ModelService
  queue: RunQueue
  runs: RunService
  disagreement: DisagreementService
  reports: ReportService
  experiments: ExperimentService
  grids: GridService
  cache: TeacherCache
  bin: Bin
  clusters: ClusterService
  tasks: TaskBoard
  demo: Demo
  study: Study
}

export interface Services {
  /** Parses the parameters, does it. Throws RetortError. */
  call: Call
  /** Pushes to the page, numbered from 1 without gaps. Returns the function that ends it. */
  onPush(listener: (seq: number, push: Push) => void): () => void
  /** Pushes after `seq`, or undefined when they are no longer held. */
  since(seq: number): NumberedPush[] | undefined
  /** Number of the last push. */
  readonly seq: number
  readonly rooms: Rooms
  /** Stops the workers, with a checkpoint where one can be, closes the catalogue and frees the lock. */
  close(): Promise<void>
}

/** Opens a data directory: what every host calls. */
export async function createServices(options: ServiceOptions): Promise<Services> {
  const { dataDir, spawnWorker, access = 'write' } = options
  const lock = access === 'write' ? takeLock(dataDir) : undefined
  try {
    const catalogue = new Catalogue(dataDir, access)
    const pushes = new PushLog()
    const context: Context = {
      dataDir,
      catalogue,
      pushes,
      spawnWorker,
      threads: () => threadsOf(context),
      backend: () => context.chosenBackend ?? catalogue.data.settings.backend,
    }
    const rooms = createRooms(context, options.host)
    if (access === 'write' && options.host !== 'cli') rooms.bin.sweep()
    const methods = createMethods(options, rooms)
    let closing: Promise<void> | undefined
    return {
      rooms,
      call: async (name, params) => {
        if (!Object.hasOwn(api, name)) {
          throw badInput(`there is no method "${name}"`, { expected: nearest(name, Object.keys(api)) })
        }
        const parsed = parse(api[name].params, params, name) as never
        return (await methods[name](parsed)) as never
      },
      onPush: (listener) => pushes.onPush(listener),
      since: (seq) => pushes.since(seq),
      get seq() {
        return pushes.seq
      },
      close: () =>
        (closing ??= (async () => {
          await Promise.all([rooms.tasks.close(), rooms.queue.close(), rooms.clusters.close()])
          rooms.grids.close()
          catalogue.close()
          lock?.release()
        })()),
    }
  } catch (error) {
    lock?.release()
    throw error
  }
}

function createRooms(context: Context, host: ServiceOptions['host']): Rooms {
  const tasks = new TaskBoard(context.pushes)
  const library = new Library(context, tasks)
  const models = new ModelService(context, (id, adapter) => reports.card(id, adapter))
  const cache = new TeacherCache(context)
  const bin = new Bin(context)
  const queue = new RunQueue(context, {
    onCompleted: async (run) => {
      if (run.kind === 'teacher') await library.addTrained(run)
    },
    onStart: (config, autoCache) => cache.makeRoom([{ config, autoCache }]),
    scope: host === 'cli' ? 'own' : 'all',
  })
  const runs = new RunService(context)
  const reports = new ReportService(context, runs)
  const experiments = new ExperimentService(context, queue)
  const scope = host === 'cli' ? 'own' : 'all'
  const clusters = new ClusterService(context, scope)
  const parts = { context, library, models, queue, runs, reports, experiments, clusters, cache, bin }
  return {
    ...parts,
    grids: new GridService(parts, scope),
    tasks,
    disagreement: new DisagreementService(context, runs, tasks),
    demo: new Demo(parts),
    study: new Study({ ...parts, tasks }),
  }
}

type Methods = { [M in MethodName]: (params: ParsedParams<M>) => Result<M> | Promise<Result<M>> }

function createMethods(options: ServiceOptions, rooms: Rooms): Methods {
  const { library, models, queue, runs, reports, experiments, grids, clusters, cache, bin, tasks, demo } =
    rooms
  const { catalogue, pushes } = rooms.context
  const nothing = (act: () => void): Record<string, never> => {
    act()
    return {}
  }
  const runId = (id: string) => runs.row(id).id
  const analysis = new GridAnalysis(options.dataDir)
  let backends: Promise<AppInfo['backends']> | undefined
  const detected = () => (backends ??= findBackends(rooms.context))
  return {
    'app.info': async () => ({
      version: VERSION,
      host: options.host === 'desktop' ? 'desktop' : 'web',
      dataDir: options.dataDir,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      cores: availableParallelism(),
      memoryGb: Math.round(totalmem() / 2 ** 30),
      launcher: options.launcher?.kind ?? 'node',
      launcherReason: options.launcher?.reason,
      backends: await detected(),
    }),
    'settings.get': () => catalogue.data.settings,
    'settings.set': async (change) => {
      if (change.browseRoot) await browse(change.browseRoot)
      const settings = catalogue.update((data) => (data.settings = { ...data.settings, ...change }))
      pushes.push({ topic: 'library', noun: 'settings' })
      queue.wake()
      return settings
    },
    'experiments.list': () => experiments.list(),
    'experiments.versions': ({ id }) => experiments.versions(id),
    'experiments.get': ({ id }) => experiments.get(id),
    'experiments.save': (params) => experiments.save(params),
    'experiments.duplicate': ({ id }) => experiments.duplicate(id),
    'experiments.continue': ({ run }) => experiments.continueRun(run),
    'experiments.remove': ({ id }) => bin.put('experiments', id),
    'experiments.check': (params) => experiments.check(params),
    'experiments.start': ({ source, ...params }) => experiments.start(params, {}, source),
    'grids.list': () => grids.list(),
    'grids.get': ({ id }) => grids.get(id),
    'grids.save': (params) => grids.save(params),
    'grids.check': (params) => grids.check(params),
    'grids.estimate': (params) => grids.estimate(params),
    'grids.start': (params) => grids.start(params, 'source' in params ? params.source : undefined),
    'grids.pause': ({ id }) => grids.pause(id),
    'grids.resume': ({ id }) => grids.resume(id),
    'grids.stop': ({ id }) => grids.stop(id),
    'grids.remove': ({ id }) => bin.put('grids', id),
    'grids.presets': () => listPresets(),
    'grids.results': ({ id, ...query }) => analysis.results(grids.get(id), query),
    'grids.export': ({ id, ...query }) => analysis.export(grids.get(id), query),
    'cache.list': () => cache.list(),
    'cache.clear': ({ keys }) => cache.clear(keys),
    'clusters.list': () => clusters.profiles.list(),
    'clusters.get': ({ name }) => clusters.profiles.text(name),
    'clusters.save': ({ definition }) => clusters.profiles.save(definition),
    'clusters.remove': ({ name }) => nothing(() => clusters.profiles.remove(name)),
    'clusters.test': ({ name }) => clusters.profiles.test(name),
    'clusters.jobs': ({ grid }) => clusters.jobs(grids.get(grid).id),
    'corpora.list': () => library.corpora,
    'corpora.import': (params) => library.startImportCorpus(params),
    'corpora.inspect': (params) => library.previews.inspect(params),
    'corpora.remove': ({ id }) => bin.put('corpora', id),
    'corpora.preview': (params) => library.previews.documents(params),
    'corpora.reading': (params) => library.previews.reading(params),
    'files.browse': ({ folder }) => browse(catalogue.data.settings.browseRoot, folder),
    'library.hubCache': () => library.hubCache(),
    'tokenizers.list': () => library.tokenizers,
    'tokenizers.import': (params) => library.startImportTokenizer(params),
    'tokenizers.train': (params) => library.startTrainTokenizer(params),
    'teachers.list': () => library.teachers,
    'teachers.import': (params) => library.startImportTeacher(params),
    'teachers.check': (params) => experiments.checkTeacher(params),
    'teachers.train': ({ definition, source, force }) => experiments.startTeacher(definition, source, force),
    'teachers.remove': ({ id }) => bin.put('teachers', id),
    'teachers.evaluate': ({ ids, corpora }) =>
      tasks.start('Evaluate teachers', (control) =>
        models.evaluate(ids, corpora, { divergence: true, control }),
      ).row,
    'teachers.calibrate': ({ ids, corpora }) =>
      tasks.start('Calibrate teachers', (control) => models.calibrate(ids, corpora, control)).row,
    'teachers.measureInt8': ({ ids, corpora }) =>
      tasks.start('Measure teachers in 8 bits', (control) => models.measureInt8(ids, corpora, control)).row,
    'runs.list': () => runs.list().map(rowOfRun),
    'runs.get': ({ id }) => runs.get(id),
    'runs.curves': (params) => runs.curves(params),
    'runs.evaluations': ({ id }) => runs.evaluations(id),
    'runs.evaluation': ({ id }) => ({ detail: runs.folder(id).lastEvaluation().detail }),
    'runs.disagreement': (params) => rooms.disagreement.open(params),
    'runs.writings': ({ id }) => runs.folder(id).writings(),
    'runs.log': ({ id }) => runs.folder(id).log(),
    'runs.checkpoints': ({ id }) => runs.folder(id).checkpoints(),
    'runs.pause': ({ id }) => queue.pause(runId(id)),
    'runs.continue': ({ id }) => queue.continue(runId(id)),
    'runs.stop': async ({ id }) => {
      const row = runs.row(id)
      if (row.cluster === undefined) return queue.stop(row.id)
      await clusters.stop([row.id])
      return runs.row(row.id)
    },
    'runs.resume': ({ id }) => queue.resume(runId(id)),
    'runs.rename': (params) => runs.rename(params),
    'runs.annotate': (params) => runs.annotate(params),
    'runs.values': (params) => runs.values.read(params),
    'runs.archive': (params) => runs.archive(params),
    'runs.remove': ({ id }) => bin.put('runs', id),
    'runs.mend': ({ id, signature }) => experiments.mend(runId(id), signature),
    'runs.reorder': ({ id, before }) => queue.reorder(id, before),
    'runs.prioritise': ({ id, priority }) => queue.prioritise(id, priority),
    'runs.compare': (params) => runs.compare(params),
    'reports.list': () => reports.list(),
    'reports.create': (params) => reports.create(params),
    'reports.get': ({ id }) => reports.get(id),
    'reports.write': (params) => reports.rewrite(params),
    'reports.remove': ({ id }) => bin.put('reports', id),
    'bin.list': () => bin.list(),
    'bin.uses': ({ noun, ids }) => bin.uses(noun, ids),
    'bin.restore': ({ id }) => bin.restore(id),
    'bin.empty': ({ ids }) => bin.empty(ids),
    'studies.list': () => rooms.study.list(),
    'studies.read': ({ definition }) => rooms.study.read(definition),
    'studies.start': (params) => rooms.study.start(params),
    'tasks.list': () => tasks.list(),
    'tasks.stop': ({ id }) => tasks.stop(id),
    'demo.start': ({ quick }) =>
      tasks.start(quick ? 'Quick demo' : 'Demo', (control) => demo.run({ quick }, control)).row,
    'models.generate': (params) => models.generate(params),
    'models.stop': ({ stream }) => nothing(() => models.streams.stop(stream)),
    'models.export': (params) => models.startExport(params, tasks),
    'models.evaluate': ({ model, corpus, ...options }) =>
      tasks.start(`Evaluate ${model}`, async (control) => {
        const [score] = await models.evaluate([model], [corpus], { ...options, control })
        return { id: score!.model }
      }).row,
    'models.scores': () => catalogue.data.scores,
  }
}

export type { SpawnWorker, WorkerExit, WorkerHandle } from './worker'
