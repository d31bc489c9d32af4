import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { api, badInput, clientFrame, failed, parse, type MethodName } from '#contract'
import { Disk } from '../engine/teachers/cache/disk'
import { BlockFile } from '../engine/teachers/cache/blockFile'
import { listTeacherCache, parseJson } from '../files'
import { createServices, type Services } from '../services'
import { ClusterProfiles } from '../services/clusters/profiles'
import { overrideText, parseExperiment, parseTeacher } from '../services/experiments/definition'
import { expandGrid } from '../services/grids/definition'
import { parseStudy } from '../services/study/definition'
import { Catalogue, RunFolder } from '../store'
import type { Reader } from './harness'
import { bytes, json, jsonLines, yaml } from './mutate'
import * as seeds from './seeds'

const asJson = (value: unknown) => Buffer.from(JSON.stringify(value))
const asLines = (values: readonly unknown[]) =>
  Buffer.from(values.map((v) => `${JSON.stringify(v)}\n`).join(''))
const asText = (input: Uint8Array) => Buffer.from(input).toString('utf8')

const definition = (
  name: string,
  seed: unknown,
  read: (text: string, file: string, folder: string) => unknown,
): Reader => ({
  name,
  file: `${name}.yaml`,
  seeds: [asJson(seed)],
  mutate: yaml,
  quick: 500,
  read: (input, { path, folder }) => read(asText(input), path, folder),
})

const RUN = 'two-abcd'
const runFile = (
  name: string,
  file: string,
  seed: Uint8Array,
  mutate: Reader['mutate'],
  read: (run: RunFolder) => unknown,
): Reader => ({
  name,
  file: `runs/${RUN}/${file}`,
  seeds: [seed],
  mutate,
  quick: 1500,
  read: (_, { folder }) => read(new RunFolder(folder, RUN)),
})

/** Calls that write, read and look things up; none that would need a worker. */
const calls: [MethodName, unknown][] = [
  ['settings.set', { threads: 2, cacheGb: 7, colorMode: 'dark' }],
  ['experiments.save', { definition: JSON.stringify({ ...seeds.experiment, name: 'another' }) }],
  ['experiments.check', { definition: JSON.stringify(seeds.experiment) }],
  ['experiments.get', { id: 'two' }],
  ['grids.check', { definition: JSON.stringify(seeds.grid) }],
  ['grids.estimate', { id: 'ablation' }],
  ['grids.results', { id: 'ablation', metric: 'crossEntropy', rows: 'loss.tau' }],
  ['grids.export', { id: 'ablation', format: 'csv' }],
  ['clusters.save', { definition: JSON.stringify(seeds.cluster) }],
  ['runs.curves', { ids: [RUN] }],
  ['runs.writings', { id: RUN }],
  ['runs.log', { id: RUN }],
  ['runs.compare', { ids: [RUN] }],
  ['runs.rename', { id: RUN, name: 'three' }],
  ['runs.annotate', { ids: [RUN], starred: true, add: ['paper'], note: 'a *note*' }],
  ['runs.values', { ids: [RUN], keys: ['loss.lambda', 'heldOut.ece'] }],
  ['runs.archive', { ids: [RUN], archived: true }],
  ['runs.prioritise', { id: RUN, priority: 2 }],
  ['bin.uses', { noun: 'corpora', ids: ['plays'] }],
  ['bin.restore', { id: 'plays' }],
  ['cache.clear', { keys: ['ab'.repeat(32)] }],
]

let services: Services | undefined
let disk: Disk | undefined
const BLOCK = 64
const tokens = Int32Array.of(1, 2, 3)

/** What a person writes, a run leaves, and a page sends. */
export const documentReaders: Reader[] = [
  definition('experiment', seeds.experiment, (text, file) => parseExperiment(text, file)),
  definition('teacher', seeds.teacherDefinition, (text, file) => parseTeacher(text, file)),
  definition('grid', seeds.grid, (text, file) => expandGrid(text, [], file)),
  definition('study', seeds.study, (text, file) => parseStudy(text, file)),
  definition('cluster', seeds.cluster, (text, file, folder) => new ClusterProfiles(folder).save(text, file)),
  {
    name: 'setting',
    seeds: [Buffer.from('train.steps=50'), Buffer.from('loss.features={ gamma: 0.5 }')],
    mutate: (seed, random) => yaml(asJson(asText(seed)), random),
    quick: 1000,
    read: (input) => overrideText(JSON.stringify(seeds.experiment), [asText(input).replace(/^"|"$/g, '')]),
  },
  runFile('run-config', 'config.json', asJson(seeds.runConfig()), json, (run) => run.config()),
  runFile('run-environment', 'environment.json', asJson(seeds.environment), json, (run) => run.environment()),
  runFile('run-metrics', 'metrics.jsonl', asLines(seeds.metrics), jsonLines, (run) => run.metrics()),
  runFile('run-events', 'events.jsonl', asLines(seeds.events), jsonLines, (run) => run.log()),
  runFile('run-held-out', 'heldout.jsonl', asLines(seeds.heldOut), jsonLines, (run) => run.lastEvaluation()),
  runFile('run-evaluation', 'evaluation.json', asJson(seeds.detail), json, (run) => run.lastEvaluation()),
  runFile('run-outputs', 'teacher-outputs.json', asJson(seeds.teacherOutputs), json, (run) =>
    run.teacherOutputs(),
  ),
  runFile(
    'run-checkpoint',
    'checkpoints/step-000010/checkpoint.json',
    asJson(seeds.checkpoint),
    json,
    (run) => run.bestCheckpoint(),
  ),
  {
    name: 'catalogue',
    file: 'catalogue.json',
    seeds: [asJson(seeds.catalogue())],
    mutate: json,
    quick: 500,
    read: (_, { folder }) => new Catalogue(folder, 'read').data,
  },
  {
    name: 'cache-about',
    file: 'cache/teachers/key/about.json',
    seeds: [asJson(seeds.cacheAbout)],
    mutate: json,
    quick: 1500,
    read: (_, { folder }) => listTeacherCache(folder),
  },
  {
    name: 'cache-block',
    file: 'exact.bin',
    seeds: [new Uint8Array(2 * (BLOCK + 16))],
    mutate: bytes,
    quick: 500,
    read: async (_, { path }) => {
      const file = new BlockFile(path, BLOCK, (disk ??= new Disk()))
      file.missing(3)
      for (const index of [0, 1, 2]) await file.read(index, tokens)
    },
    close: async () => {
      await disk?.close()
      disk = undefined
    },
  },
  {
    name: 'frames',
    seeds: [
      asJson({ type: 'hello', token: 'x', since: 3 }),
      asJson({ type: 'call', id: 1, name: 'runs.list', params: {} }),
    ],
    mutate: json,
    quick: 2000,
    read: (input) => parse(clientFrame, parseJson(asText(input), 'the message')),
  },
  {
    name: 'calls',
    seeds: calls.filter(([name]) => name !== 'bin.restore').map(([name, params]) => asJson({ name, params })),
    mutate: json,
    quick: 500,
    furnish: async (folder) => {
      mkdirSync(join(folder, 'runs', RUN), { recursive: true })
      writeFileSync(join(folder, 'catalogue.json'), asJson(seeds.catalogue()))
      writeFileSync(join(folder, 'runs', RUN, 'config.json'), asJson(seeds.runConfig()))
      writeFileSync(join(folder, 'runs', RUN, 'metrics.jsonl'), asLines(seeds.metrics))
      const spawnWorker = () => {
        throw failed('there are no workers here')
      }
      services = await createServices({ dataDir: folder, spawnWorker, host: 'web' })
    },
    read: async (input) => {
      const { name, params } = (parseJson(asText(input), 'the message') ?? {}) as Record<string, unknown>
      if (typeof name !== 'string') throw badInput('no name')
      if (Object.hasOwn(api, name) && !calls.some(([allowed]) => allowed === name)) return
      await services!.call(name as MethodName, params as never)
    },
    close: async () => {
      await services?.close()
      services = undefined
    },
  },
]
