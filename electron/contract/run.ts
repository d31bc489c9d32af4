import { z } from 'zod'
import { alarmSummary } from './alarm'
import { tokenReading } from './corpusMixture'
import { autoCache, backends, experiment, features } from './experiment'
import { corpus, digest, id, teacher, timestamp } from './library'
import { tokenizer } from './tokenizer'
import { measured } from './measured'
import { evaluationRecord, stepRecord } from './metrics'
import { modelConfig, objectName } from './model'
import { serverHealth } from './served'
import { SCHEMA_VERSION } from './version'
import { weightingStrategies } from './weighting'

export const runStatuses = ['queued', 'running', 'paused', 'completed', 'failed', 'stopped'] as const
export type RunStatus = (typeof runStatuses)[number]

/** `crashed` runs have status `failed` and can be resumed from their last checkpoint. */
export const methods = [
  ...weightingStrategies,
  'single-teacher',
  'cross-entropy',
  'distilbert',
  'tinybert',
  'mobilebert',
  'reverse-kl',
  'jsd',
  'skewed-kl',
  'skewed-reverse-kl',
  'top-k',
  'gkd',
  'opd',
  'mopd',
  'entropy-opd',
] as const

/** The student that a continued run begins with, and what its run was trained on. */
export const continued = z.strictObject({
  run: id,
  name: objectName,
  /** The checkpoint's step, and the SHA-256 of its model.safetensors. */
  step: z.number().int().nonnegative(),
  digest,
  /** The earlier run's corpora that are not among this run's: evaluated too, to see what is forgotten. */
  corpora: z.array(corpus),
})

/** A teacher as a run has it. */
const runTeacher = teacher.extend({
  /** What its matrices are multiplied in; absent: f32. */
  precision: z.literal('int8').optional(),
})
export type RunTeacher = z.output<typeof runTeacher>

/** A teacher whose tokenizer is not the student's. */
export const foreignTeacher = z.strictObject({
  row: runTeacher,
  tokenizer,
  /** Its place among the definition's teachers, from 0. */
  place: z.number().int().nonnegative(),
})

/**
 * A run with everything resolved: names to library rows with digests, defaults filled in. It is `config.json` of the
 * run folder, never changed after the start. A teacher's training is a run without teachers, of kind `teacher`.
 */
export const runConfig = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  id,
  name: objectName,
  kind: z.enum(['student', 'teacher']),
  /** The row of the paper's Table 1 that this run is. */
  method: z.enum(methods),
  experiment,
  corpora: z.array(z.strictObject({ weight: z.number(), row: corpus, reading: tokenReading.optional() })),
  tokenizer,
  /** Those that have the student's tokenizer. */
  teachers: z.array(runTeacher),
  /** Those that have another one; absent when there are none. */
  foreign: z.array(foreignTeacher).optional(),
  /** Of calibrated entropy: each teacher's temperature, filled in by the worker before the first step. */
  temperatures: z.array(z.number().positive()).optional(),
  student: modelConfig,
  /** The model that the student begins as, and its layers, from 0; absent where it begins otherwise. */
  origin: z
    .strictObject({ id, name: objectName, digest, layers: z.array(z.number().int().nonnegative()).min(1) })
    .optional(),
  continues: continued.optional(),
  createdAt: timestamp,
})
export type RunConfig = z.output<typeof runConfig>
export type ForeignTeacherRow = z.output<typeof foreignTeacher>

/** `environment.json`: where and with what the run was computed. */
export const environment = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  retort: z.string(),
  node: z.string(),
  platform: z.string(),
  cpu: z.string(),
  cores: z.number(),
  memoryGb: z.number(),
  backend: z.enum(backends),
  backendVersion: z.string(),
  threads: z.number(),
  /** Commit of the working directory's repository, when it is one. */
  gitCommit: z.string().optional(),
  startedAt: timestamp,
})
export type Environment = z.output<typeof environment>

/** What has become of the loss scale of a run in half precision (engine: train/lossScale). */
export const lossScaleState = z.object({
  factor: z.number().positive(),
  /** In a row, since it was changed. */
  updates: z.number().int().nonnegative(),
  /** Steps that had no update, of all. */
  skipped: z.number().int().nonnegative(),
})
export type LossScaleState = z.output<typeof lossScaleState>

/** `checkpoints/step-000500/checkpoint.json`, beside `model.safetensors`, `optimizer.safetensors` (and `projections.safetensors`). */
export const checkpoint = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  step: z.number().int().nonnegative(),
  tokens: z.number().int(),
  seconds: z.number(),
  /** Held-out cross-entropy at this step, if it was evaluated. */
  crossEntropy: measured.optional(),
  /** The lowest held-out cross-entropy so far and its step; decides which checkpoint is the best. */
  best: z.object({ step: z.number(), crossEntropy: z.number() }).optional(),
  /** Of a run in half precision. */
  lossScale: lossScaleState.optional(),
  /** File name to SHA-256; a checkpoint whose files do not match is refused. */
  files: z.record(z.string(), digest),
})
export type Checkpoint = z.output<typeof checkpoint>

/** One teacher of a run: how many tokens' outputs it computed, and how many were read from the cache instead. */
export const teacherOutputs = z.object({
  teacher: id,
  /** The cache's key: teacher and batch plan. */
  key: digest,
  computed: z.number().int(),
  reused: z.number().int(),
  /** Seconds that computing them took. */
  seconds: z.number().default(0),
  /** Seconds that reading took less than computing would have, by the teacher's speed when it was written. */
  secondsSaved: z.number(),
})
export type TeacherOutputs = z.output<typeof teacherOutputs>

/** What feature alignment of a run's teachers asks for: with it, which of their layers are kept in the cache. */
export const alignmentSetting = z.strictObject({ features, student: modelConfig })
export type AlignmentSetting = z.output<typeof alignmentSetting>

export const runTag = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N}._/-]{0,39}$/u,
    'expected at most 40 letters, digits, dots, dashes and slashes',
  )
export const runNote = z.string().max(20_000, 'expected at most 20,000 letters')

/** A run as the catalogue and every list know it. */
export const run = z.strictObject({
  id,
  name: objectName,
  kind: z.enum(['student', 'teacher']),
  method: z.enum(methods),
  status: z.enum(runStatuses),
  /** The experiment of the library it was started from. */
  experiment: id.optional(),
  /** The cluster that computes it; absent when it is this machine. */
  cluster: objectName.optional(),
  /** Runs started together: the demo's, or the id of their grid. */
  group: z.string().optional(),
  /** Of the waiting ones the highest goes first, then the lowest place. */
  priority: z.number().int().default(0),
  place: z.number().default(0),
  /** How often it is started again when its worker crashes; counted down. */
  retries: z.number().int().nonnegative().default(0),
  /** When that is, while it waits for it. */
  retryAt: timestamp.optional(),
  /** What `cache.mode: auto` is for it: states or exact where other runs read the same batches. */
  autoCache,
  /** It ends at this step for now, stopped with a checkpoint: a rung of successive halving. */
  until: z.number().int().positive().optional(),
  /** Of runs that share its teacher passes: what it computes it keeps for them too. */
  sharedAlignments: z.array(alignmentSetting).default([]),
  /** What its teachers' outputs cost it so far. */
  teacherOutputs: z.array(teacherOutputs).default([]),
  /** How the servers do that its teachers stand behind, since it was last started. */
  servers: z.array(serverHealth).optional(),
  step: z.number().int().nonnegative(),
  steps: z.number().int().positive(),
  last: stepRecord.optional(),
  evaluation: evaluationRecord.optional(),
  best: z.object({ step: z.number(), crossEntropy: z.number() }).optional(),
  /** How many failure signatures were seen, and the latest; absent when none was. */
  alarms: alarmSummary.optional(),
  parameters: z.number().int(),
  /** Those with the student's tokenizer: what is given by teacher (alpha, entropy) is in their order. */
  teachers: z.array(z.object({ id, name: objectName })),
  /** Those with another tokenizer. */
  foreign: z.array(z.object({ id, name: objectName })).default([]),
  corpora: z.array(z.object({ id, name: objectName })),
  /** The model of the library that its student began as. */
  origin: z.object({ id, name: objectName }).optional(),
  seed: z.number().int(),
  /** Why it failed or stopped, in one sentence. */
  reason: z.string().optional(),
  /** What a person has put on it: a star, words to find it by, a note in Markdown. */
  starred: z.literal(true).optional(),
  tags: z.array(runTag).optional(),
  note: runNote.optional(),
  /** Since when it is kept out of the lists. */
  archivedAt: timestamp.optional(),
  createdAt: timestamp,
  startedAt: timestamp.optional(),
  endedAt: timestamp.optional(),
})
export type Run = z.output<typeof run>

/** A run as pages list it by the thousand: without what only its own page, its queue or a comparison needs. */
export const runRow = run
  .omit({
    autoCache: true,
    sharedAlignments: true,
    teacherOutputs: true,
    until: true,
    last: true,
    evaluation: true,
    note: true,
  })
  .extend({
    last: stepRecord.pick({ loss: true, seconds: true, tokensPerSecond: true }).optional(),
    evaluation: evaluationRecord
      .pick({ step: true, crossEntropy: true, perplexity: true, bitsPerByte: true, klToFused: true })
      .optional(),
  })
export type RunRow = z.output<typeof runRow>

export function rowOfRun(run: Run): RunRow {
  const {
    autoCache: _a,
    sharedAlignments: _s,
    teacherOutputs: _t,
    until: _u,
    note: _n,
    last,
    evaluation,
    ...row
  } = run
  return {
    ...row,
    last: last && { loss: last.loss, seconds: last.seconds, tokensPerSecond: last.tokensPerSecond },
    evaluation: evaluation && {
      step: evaluation.step,
      crossEntropy: evaluation.crossEntropy,
      perplexity: evaluation.perplexity,
      bitsPerByte: evaluation.bitsPerByte,
      klToFused: evaluation.klToFused,
    },
  }
}

/** A value of a run's column that the list does not hold; what is no finite number is its word. */
export const runValue = z.union([z.number(), z.string()]).nullable()
export type RunValue = z.output<typeof runValue>

export const runFiles = {
  config: 'config.json',
  environment: 'environment.json',
  metrics: 'metrics.jsonl',
  events: 'events.jsonl',
  /** The metrics of a run that has ended, by quantity (store: columns); may be deleted. */
  columns: 'metrics.columns',
  /** Per-document scores of the last evaluation. */
  heldOut: 'heldout.jsonl',
  /** What the student of a run that learns on its own text wrote, now and then. */
  writings: 'writings.jsonl',
  /** What else the last evaluation found out. */
  detail: 'evaluation.json',
  checkpoints: 'checkpoints',
  /** What its teachers' outputs cost it, kept by a cluster's cell for whoever collects it. */
  teacherOutputs: 'teacher-outputs.json',
  /** The student that a continued run began with: its model folder. */
  earlier: 'earlier',
  /** The model that its adapters stand beside: a model folder. */
  base: 'base',
  /** What its teachers and its student say of held-out documents, by the digest of both; may be deleted. */
  disagreement: 'disagreement',
} as const

/** `step-000500`: the folder of a checkpoint below `checkpoints/`. */
export function checkpointFolder(step: number): string {
  return `step-${String(step).padStart(6, '0')}`
}
